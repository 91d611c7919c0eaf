package org.edgekd.core;

/** Image files to pixels. */
public interface Decoder {
    /**
     * An upright RGB image: EXIF orientation applied, transparency over black, of several frames the first.
     *
     * @throws BadImage for whatever cannot be decoded or does not fit into memory
     */
    Rgb decode(byte[] file) throws BadImage;
}
