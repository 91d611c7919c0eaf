package org.edgekd.core;

/** Pillow's resampling kernels, as functions of the distance in output pixels. */
public enum Kernel {
    BILINEAR(1) {
        @Override
        double at(double x) {
            x = Math.abs(x);
            return x < 1 ? 1 - x : 0;
        }
    },
    /** Keys' cubic convolution with a = -1/2. */
    BICUBIC(2) {
        @Override
        double at(double x) {
            x = Math.abs(x);
            if (x < 1) {
                return ((A + 2) * x - (A + 3)) * x * x + 1;
            }
            return x < 2 ? (((x - 5) * x + 8) * x - 4) * A : 0;
        }
    };

    private static final double A = -0.5;

    /** The kernel is 0 from this distance on. */
    final double support;

    Kernel(double support) {
        this.support = support;
    }

    abstract double at(double x);
}
