package org.edgekd.core;

import java.util.Arrays;

/** Times single runs of an action, as `sample` of edgekd/devices/runner.py. */
final class Stopwatch {
    static final int FEWEST_RUNS = 5;

    /** One run; `input` counts up from 0 and starts again. */
    interface Action {
        void run(int input) throws CoreException;
    }

    private final Cancel cancel;

    Stopwatch(Cancel cancel) {
        this.cancel = cancel;
    }

    /**
     * Milliseconds of each run, the inputs in turn: `runs` of them, or fewer (not fewer than `fewest`) if `seconds` are
     * over.
     */
    double[] sample(Action action, int inputs, int runs, double seconds, int fewest) throws CoreException, Cancelled {
        double[] found = new double[Math.min(runs, 1024)];
        int count = 0;
        System.gc(); // now rather than in the middle
        long end = System.nanoTime() + (long) (seconds * 1e9);
        while (count < runs) {
            if (cancel.isCancelled()) {
                throw new Cancelled();
            }
            found = count < found.length ? found : Arrays.copyOf(found, 2 * count);
            long begin = System.nanoTime();
            action.run(count % inputs);
            long now = System.nanoTime();
            found[count++] = Math.max(now - begin, 1) / 1e6;
            if (now - end > 0 && count >= fewest) {
                break;
            }
        }
        return Arrays.copyOf(found, count);
    }

    /** Milliseconds since a time of System.nanoTime. */
    static double since(long begin) {
        return (System.nanoTime() - begin) / 1e6;
    }
}
