package org.edgekd.core;

/**
 * How long to measure: `minRuns` runs and `minSeconds`, whichever is reached first; `sustainedS` 0: not at all; at the rates
 * `fps` of a camera too, each for `pacedS`.
 */
public final class Timing {
    private static final int MOST_RATES = 8;

    /** What the app measures by itself: 200 runs or 10 s. */
    public static final Timing STANDARD = new Timing(10, 200, 10, 0);

    public final int warmupRuns;
    public final int minRuns;
    public final double minSeconds;
    public final double sustainedS;
    public final double pacedS;
    private final double[] fps;

    public Timing(int warmupRuns, int minRuns, double minSeconds, double sustainedS) {
        this(warmupRuns, minRuns, minSeconds, sustainedS, new double[0], 0);
    }

    public Timing(
            int warmupRuns, int minRuns, double minSeconds, double sustainedS, double[] fps, double pacedS) {
        this.warmupRuns = warmupRuns;
        this.minRuns = minRuns;
        this.minSeconds = minSeconds;
        this.sustainedS = sustainedS;
        this.fps = fps.clone();
        this.pacedS = pacedS;
    }

    public double[] fps() {
        return fps.clone();
    }

    static Timing read(Fields found) throws BadJson {
        return new Timing(
                (int) found.whole("warmup_runs", 0, 1_000_000),
                (int) found.whole("min_runs", 1, 1_000_000),
                found.number("min_seconds", 1e-9, 86_400),
                found.number("sustained_s", 0, 86_400),
                found.has("fps") ? found.numbersUpTo("fps", MOST_RATES, 1e-9, 1000) : new double[0],
                found.has("paced_s") ? found.number("paced_s", 1e-9, 3600) : 0); // older hosts ask for neither
    }
}
