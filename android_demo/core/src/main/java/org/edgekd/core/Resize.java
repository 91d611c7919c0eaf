package org.edgekd.core;

/**
 * Pillow's antialiased resize of 8-bit images, to the bit: a separable kernel, widened by the factor of the reduction, in
 * fixed-point numbers with 22 bits, rounded after the horizontal and again after the vertical pass (Pillow, Resample.c).
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
        int first = down.first[0];
        int rows = down.first[h - 1] + down.count(h - 1) - first;
        byte[] between = horizontal(image, across, first, rows);
        return new Rgb(w, h, vertical(between, 3 * w, down, first));
    }

    /** Rows [first, first + rows) of the image, each `across.size` px wide. */
    private static byte[] horizontal(Rgb image, Taps across, int first, int rows) {
        byte[] in = image.data;
        byte[] out = new byte[3 * across.size * rows];
        int to = 0;
        for (int y = 0; y < rows; y++) {
            int row = 3 * image.width * (first + y);
            for (int x = 0; x < across.size; x++) {
                int r = HALF;
                int g = HALF;
                int b = HALF;
                int from = row + 3 * across.first[x];
                for (int k = across.start[x]; k < across.start[x + 1]; k++) {
                    int weight = across.weights[k];
                    r += (in[from] & 255) * weight;
                    g += (in[from + 1] & 255) * weight;
                    b += (in[from + 2] & 255) * weight;
                    from += 3;
                }
                out[to++] = clip(r);
                out[to++] = clip(g);
                out[to++] = clip(b);
            }
        }
        return out;
    }

    /** `in` holds rows of `stride` bytes, the first of which is the image's row `first`. */
    private static byte[] vertical(byte[] in, int stride, Taps down, int first) {
        byte[] out = new byte[stride * down.size];
        int[] sums = new int[stride];
        for (int y = 0; y < down.size; y++) {
            java.util.Arrays.fill(sums, HALF);
            int from = stride * (down.first[y] - first);
            for (int k = down.start[y]; k < down.start[y + 1]; k++) {
                int weight = down.weights[k];
                for (int x = 0; x < stride; x++) {
                    sums[x] += (in[from + x] & 255) * weight;
                }
                from += stride;
            }
            for (int x = 0; x < stride; x++) {
                out[stride * y + x] = clip(sums[x]);
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

        int count(int i) {
            return start[i + 1] - start[i];
        }
    }
}
