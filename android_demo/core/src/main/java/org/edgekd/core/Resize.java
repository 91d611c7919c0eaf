package org.edgekd.core;

import java.util.Arrays;

/**
 * Pillow's antialiased resize of 8-bit images, to the bit: a separable kernel, widened by the factor of the reduction, in
 * fixed-point numbers with 22 bits, rounded after the first and again after the second pass (Pillow, Resample.c). The
 * horizontal pass is the first, but not where the height shrinks by more than twice as many pixels as the width: that
 * order, which changes the rounding, is Pillow's since 13.
 */
public final class Resize {
    private static final int BITS = 32 - 8 - 2;
    private static final int HALF = 1 << (BITS - 1);

    private Resize() {}

    /** The image at another size. */
    public static Rgb resize(Rgb image, int width, int height, Kernel kernel) {
        return window(image, width, height, kernel, 0, 0, width, height);
    }

    /** The pixels [top, top + h) x [left, left + w) of the image resized to width x height; only these are computed. */
    public static Rgb window(
            Rgb image, int width, int height, Kernel kernel, int left, int top, int w, int h) {
        Taps across = new Taps(image.width, width, kernel, left, w);
        Taps down = new Taps(image.height, height, kernel, top, h);
        byte[] out;
        if (height < image.height && image.height - (long) height > 2 * (image.width - (long) width)) {
            byte[] between = vertical(image.data, image.width, across.from(), across.to(), down, 0);
            out = horizontal(between, across.to() - across.from(), 0, h, across, across.from());
        } else {
            byte[] between = horizontal(image.data, image.width, down.from(), down.to(), across, 0);
            out = vertical(between, w, 0, w, down, down.from());
        }
        return new Rgb(w, h, out);
    }

    /** Rows [from, to) of `in`, whose rows have `width` px, the first of them the image's column `column`. */
    private static byte[] horizontal(byte[] in, int width, int from, int to, Taps across, int column) {
        byte[] out = new byte[3 * across.size * (to - from)];
        int at = 0;
        for (int y = from; y < to; y++) {
            int row = 3 * (width * y - column);
            for (int x = 0; x < across.size; x++) {
                int r = HALF;
                int g = HALF;
                int b = HALF;
                int pixel = row + 3 * across.first[x];
                for (int k = across.start[x]; k < across.start[x + 1]; k++) {
                    int weight = across.weights[k];
                    r += (in[pixel] & 255) * weight;
                    g += (in[pixel + 1] & 255) * weight;
                    b += (in[pixel + 2] & 255) * weight;
                    pixel += 3;
                }
                out[at++] = clip(r);
                out[at++] = clip(g);
                out[at++] = clip(b);
            }
        }
        return out;
    }

    /** Columns [from, to) of `in`, whose rows have `width` px, the first of them the image's row `row`. */
    private static byte[] vertical(byte[] in, int width, int from, int to, Taps down, int row) {
        int bytes = 3 * (to - from);
        byte[] out = new byte[bytes * down.size];
        int[] sums = new int[bytes];
        for (int y = 0; y < down.size; y++) {
            Arrays.fill(sums, HALF);
            int pixel = 3 * (width * (down.first[y] - row) + from);
            for (int k = down.start[y]; k < down.start[y + 1]; k++) {
                int weight = down.weights[k];
                for (int x = 0; x < bytes; x++) {
                    sums[x] += (in[pixel + x] & 255) * weight;
                }
                pixel += 3 * width;
            }
            for (int x = 0; x < bytes; x++) {
                out[bytes * y + x] = clip(sums[x]);
            }
        }
        return out;
    }

    private static byte clip(int sum) {
        int value = sum >> BITS;
        return (byte) (value < 0 ? 0 : Math.min(value, 255));
    }

    /** Which input pixels each output pixel of a window is made of, and with which weights. */
    private static final class Taps {
        final int size;
        final int[] first; // input pixel of the first weight, by output pixel
        final int[] start; // of an output pixel's weights; one more entry than output pixels
        final int[] weights; // fixed point

        Taps(int in, int out, Kernel kernel, int offset, int size) {
            this.size = size;
            first = new int[size];
            start = new int[size + 1];
            double scale = (double) (float) in / out; // Pillow's box is of floats
            double stretch = Math.max(scale, 1);
            double support = kernel.support * stretch;
            for (int i = 0; i < size; i++) {
                double center = (offset + i + 0.5) * scale;
                first[i] = Math.max(0, (int) (center - support + 0.5));
                int end = Math.min(in, (int) (center + support + 0.5));
                start[i + 1] = start[i] + Math.max(0, end - first[i]);
            }
            weights = new int[start[size]];
            double inverse = 1 / stretch;
            for (int i = 0; i < size; i++) {
                fill(i, (offset + i + 0.5) * scale, inverse, kernel);
            }
        }

        private void fill(int i, double center, double inverse, Kernel kernel) {
            double[] exact = new double[count(i)];
            double sum = 0;
            for (int k = 0; k < exact.length; k++) {
                exact[k] = kernel.at((k + first[i] - center + 0.5) * inverse);
                sum += exact[k];
            }
            for (int k = 0; k < exact.length; k++) {
                double weight = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << BITS);
                weights[start[i] + k] = (int) (weight < 0 ? weight - 0.5 : weight + 0.5);
            }
        }

        private int count(int i) {
            return start[i + 1] - start[i];
        }

        /** The first input pixel of all, and the one behind the last. */
        int from() {
            return first[0];
        }

        int to() {
            return first[size - 1] + count(size - 1);
        }
    }
}
