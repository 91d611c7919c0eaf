package org.edgekd.core;

/** A heat map of one class over the input: what a screen draws. */
public final class Heat {
    public final int height;
    public final int width;

    /** The largest value, 0 or more: what the strongest colour stands for. */
    public final float largest;

    private final float[] values;

    Heat(int height, int width, float[] values) {
        this.height = height;
        this.width = width;
        this.values = values;
        float most = 0;
        for (float value : values) {
            most = Math.max(most, value);
        }
        largest = most;
    }

    /** [height * width], row by row; positive speaks for the class. */
    public float[] values() {
        return values.clone();
    }
}
