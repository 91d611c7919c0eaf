package org.edgekd.core;

/** A ninth of a picture, to be named. */
public enum Region {
    UPPER_LEFT,
    TOP,
    UPPER_RIGHT,
    LEFT,
    MIDDLE,
    RIGHT,
    LOWER_LEFT,
    BOTTOM,
    LOWER_RIGHT;

    /** The ninth of a place, in parts of width and height. */
    static Region of(double across, double down) {
        return values()[3 * third(down) + third(across)];
    }

    private static int third(double at) {
        return Math.max(0, Math.min(2, (int) (3 * at)));
    }
}
