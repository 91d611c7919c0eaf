package org.edgekd.core;

import java.util.List;

/**
 * Golden vectors: image files, what decoding and preprocessing must make of them to the bit, and the probabilities [G][K]
 * that the model must give within `tolerance` (absolute).
 */
public final class Golden {
    private static final int MOST = 1000;

    public final List<String> images;

    /** sha256 of each image's decoded RGB bytes, row by row: tells decoding from resizing. */
    public final List<String> decodedSha256;

    /** .npy file with the input tensors [G, S, S, 3] uint8; "" where {@link #pixelsSha256} stands for it. */
    public final String pixels;

    /** sha256 of each input tensor; null where {@link #pixels} has them. */
    public final List<String> pixelsSha256;

    public final double tolerance;
    private final double[][] probs;

    private Golden(Fields found, int classes, boolean isFile) throws BadJson {
        images = found.texts("images", 1, MOST);
        decodedSha256 = found.hashes("decoded_sha256", images.size());
        pixels = isFile ? found.text("pixels") : "";
        pixelsSha256 = isFile ? null : found.hashes("pixels_sha256", images.size());
        probs = found.table("probs", images.size(), classes, 0, 1);
        tolerance = found.number("tolerance", 1e-9, 1);
    }

    /** As jobs have them: the tensors in a file. */
    static Golden ofJob(Fields found, int classes) throws BadJson {
        return new Golden(found, classes, true);
    }

    /** As apps have them: hashes of the tensors. */
    static Golden ofModel(Fields found, int classes) throws BadJson {
        return new Golden(found, classes, false);
    }

    /** The expected probabilities [K] of an image. */
    public double[] probs(int image) {
        return probs[image].clone();
    }
}
