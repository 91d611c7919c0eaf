package org.edgekd.core;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A test image answered from its file on: which step gave the sender's bytes, and the probabilities [K]; none where it
 * could not be decoded, and then `problem` says why.
 */
public final class FromFile {
    public final boolean isDecodedEqual;
    public final boolean arePixelsEqual;
    public final float[] probs;
    public final String problem;

    FromFile(boolean isDecodedEqual, boolean arePixelsEqual, float[] probs) {
        this.isDecodedEqual = isDecodedEqual;
        this.arePixelsEqual = arePixelsEqual;
        this.probs = probs;
        problem = "";
    }

    FromFile(String problem) {
        isDecodedEqual = false;
        arePixelsEqual = false;
        probs = new float[0];
        this.problem = problem;
    }

    Map<String, Object> toJson() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("decoded_equal", isDecodedEqual);
        found.put("pixels_equal", arePixelsEqual);
        found.put("probs", DeviceReport.row(probs));
        found.put("problem", problem);
        return found;
    }
}
