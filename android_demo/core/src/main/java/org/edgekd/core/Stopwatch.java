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

    /**
     * Runs an action, the inputs in turn, `runs` times and for `seconds`, whichever is reached last, but no new run after
     * `most` seconds unless these are asked for; how many runs it was.
     */
    int warm(Action action, int inputs, int runs, double seconds, double most) throws CoreException, Cancelled {
        int count = 0;
        long begin = System.nanoTime();
        for (double at = 0; at < seconds || (count < runs && at < most); at = since(begin) / 1e3) {
            if (cancel.isCancelled()) {
                throw new Cancelled();
            }
            action.run(count++ % inputs);
        }
        return count;
    }

    /**
     * Single runs at a camera's rate, each of the newest frame; frames that come while one is at work are dropped, and
     * added to `dropped[0]`.
     */
    double[] paced(Action action, int inputs, double fps, double seconds, int[] dropped)
            throws CoreException, Cancelled {
        double[] found = new double[64];
        int count = 0;
        long frame = 0;
        long begin = System.nanoTime();
        while (frame < seconds * fps || count < FEWEST_RUNS) {
            sleepUntil(begin + (long) (frame / fps * 1e9));
            found = count < found.length ? found : Arrays.copyOf(found, 2 * count);
            long start = System.nanoTime();
            action.run(count % inputs);
            long now = System.nanoTime();
            found[count++] = Math.max(now - start, 1) / 1e6;
            long following = Math.max(frame + 1, (long) Math.ceil((now - begin) / 1e9 * fps));
            dropped[0] += (int) (following - frame - 1);
            frame = following;
        }
        return Arrays.copyOf(found, count);
    }

    /** Does nothing for some seconds. */
    void pause(double seconds) throws Cancelled {
        sleepUntil(System.nanoTime() + (long) (seconds * 1e9));
    }

    private void sleepUntil(long time) throws Cancelled {
        for (long left = time - System.nanoTime(); left > 0; left = time - System.nanoTime()) {
            if (cancel.isCancelled()) {
                throw new Cancelled();
            }
            try {
                Thread.sleep(Math.min(left / 1_000_000, 100), (int) (left % 1_000_000));
            } catch (InterruptedException e) {
                throw new Cancelled();
            }
        }
        if (cancel.isCancelled()) {
            throw new Cancelled();
        }
    }

    /** Milliseconds since a time of System.nanoTime. */
    static double since(long begin) {
        return (System.nanoTime() - begin) / 1e6;
    }
}
