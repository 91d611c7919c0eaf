package org.edgekd.core;

/** An image of 8-bit RGB, row by row from the top left; `data` holds height * width * 3 bytes and is not copied. */
public final class Rgb {
    /** As in Python: a whole-slide overview is about 100 megapixels; more is a decompression bomb. */
    public static final int MAX_PIXELS = 120_000_000;

    public final int width;
    public final int height;
    public final byte[] data;

    /**
     * An image of these bytes.
     *
     * @throws IllegalArgumentException for sides that are not positive, or another number of bytes
     */
    public Rgb(int width, int height, byte[] data) {
        if (width < 1 || height < 1 || data.length != 3L * width * height) {
            throw new IllegalArgumentException(width + " x " + height + " px of RGB are not " + data.length + " bytes");
        }
        this.width = width;
        this.height = height;
        this.data = data;
    }

    /** From colours as Android has them, 0xAARRGGBB, opaque or with alpha left out of account. */
    public static Rgb fromArgb(int[] argb, int width, int height) {
        byte[] data = new byte[3 * width * height];
        putArgb(argb, width * height, data, 0);
        return new Rgb(width, height, data);
    }

    /** Writes `count` colours 0xAARRGGBB as RGB bytes from `offset` on; for images that come in pieces. */
    public static void putArgb(int[] argb, int count, byte[] data, int offset) {
        for (int i = 0, at = offset; i < count; i++) {
            data[at++] = (byte) (argb[i] >> 16);
            data[at++] = (byte) (argb[i] >> 8);
            data[at++] = (byte) argb[i];
        }
    }

    /** Colours as Android has them, 0xFFRRGGBB. */
    public int[] toArgb() {
        int[] argb = new int[width * height];
        for (int i = 0, at = 0; i < argb.length; i++, at += 3) {
            argb[i] = 0xFF000000 | (data[at] & 255) << 16 | (data[at + 1] & 255) << 8 | data[at + 2] & 255;
        }
        return argb;
    }
}
