package org.edgekd.core;

import java.nio.ByteBuffer;

/**
 * Where a decision comes from, by covering parts of the input: how far the probability of the model's own answer falls
 * when a grey square hides a place (Zeiler and Fergus, 2014). Forward passes only, so that it works with any file.
 */
public final class Occlusion {
    /** Squares have a seventh of the input's side and overlap by half. */
    private static final int PARTS = 7;

    private Occlusion() {}

    /** Forward passes that {@link #map} makes for an input of this size. */
    public static int passes(int size) {
        int count = starts(size).length;
        return 1 + count * count;
    }

    /**
     * The map of one decision.
     *
     * @param session of the model that decided
     * @param pixels [S, S, 3] uint8, as the model saw them
     * @param target the class whose probability is followed: the answer
     * @throws Cancelled between two passes, when asked to stop
     */
    public static HeatMap map(
            Session session, InputContract input, byte[] pixels, int target, Progress progress, Cancel cancel)
            throws EngineException, Cancelled {
        int size = input.size;
        int side = side(size);
        int[] starts = starts(size);
        byte[] neutral = input.neutral();
        byte[] hidden = pixels.clone();
        ByteBuffer feed = session.feed(pixels);
        float whole = session.probs(session.infer(feed))[target];
        double[][] drops = new double[starts.length][starts.length];
        int of = passes(size);
        for (int y = 0; y < starts.length; y++) {
            for (int x = 0; x < starts.length; x++) {
                if (cancel.isCancelled()) {
                    throw new Cancelled();
                }
                progress.at("occlusion", 1 + y * starts.length + x, of);
                cover(hidden, size, starts[x], starts[y], side, neutral);
                session.fill(feed, hidden);
                drops[y][x] = whole - session.probs(session.infer(feed))[target];
                uncover(hidden, pixels, size, starts[y], side);
            }
        }
        progress.at("occlusion", of, of);
        return new HeatMap(size, target, whole, mean(drops, starts, side, size));
    }

    private static int side(int size) {
        return Math.max(1, (size + PARTS - 1) / PARTS);
    }

    /** Left (or upper) edges of the squares: at distances of half a side, the last one flush with the far edge. */
    private static int[] starts(int size) {
        int side = side(size);
        int step = Math.max(1, side / 2);
        int count = (size - side + step - 1) / step + 1;
        int[] starts = new int[count];
        for (int i = 0; i < count; i++) {
            starts[i] = Math.min(i * step, size - side);
        }
        return starts;
    }

    private static void cover(byte[] pixels, int size, int left, int top, int side, byte[] colour) {
        for (int y = top; y < top + side; y++) {
            for (int x = left; x < left + side; x++) {
                System.arraycopy(colour, 0, pixels, 3 * (size * y + x), 3);
            }
        }
    }

    private static void uncover(byte[] hidden, byte[] pixels, int size, int top, int side) {
        System.arraycopy(pixels, 3 * size * top, hidden, 3 * size * top, 3 * size * side);
    }

    /** For each pixel the mean drop over the squares that cover it. */
    private static float[] mean(double[][] drops, int[] starts, int side, int size) {
        float[] values = new float[size * size];
        for (int y = 0; y < size; y++) {
            for (int x = 0; x < size; x++) {
                double sum = 0;
                int count = 0;
                for (int row = first(starts, side, y); row < starts.length && starts[row] <= y; row++) {
                    for (int column = first(starts, side, x); column < starts.length && starts[column] <= x; column++) {
                        sum += drops[row][column];
                        count++;
                    }
                }
                values[size * y + x] = (float) (sum / count);
            }
        }
        return values;
    }

    /** The first square that reaches as far as `at`. */
    private static int first(int[] starts, int side, int at) {
        int first = 0;
        while (starts[first] + side <= at) {
            first++;
        }
        return first;
    }

    /** How much each place of the input speaks for the answer. */
    public static final class HeatMap {
        /** Side in px. */
        public final int size;

        /** The class that was followed, and its probability with nothing covered. */
        public final int target;

        public final float confidence;

        /** The largest drop, 0 or more: what the strongest colour stands for. */
        public final float largest;

        /** The drops as a screen draws them. */
        public final Heat heat;

        private final float[] values;

        HeatMap(int size, int target, float confidence, float[] values) {
            this.size = size;
            this.target = target;
            this.confidence = confidence;
            this.values = values;
            heat = new Heat(size, size, values);
            largest = heat.largest;
        }

        /** [S * S], row by row: the drop of the probability, from -1 to 1; positive speaks for the answer. */
        public float[] values() {
            return values.clone();
        }
    }
}
