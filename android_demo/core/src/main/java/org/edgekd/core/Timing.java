package org.edgekd.core;

/**
 * How long to measure: `minRuns` runs and `minSeconds`, whichever is reached first; `sustainedS` 0: not at all; at the rates
 * `fps` of a camera too, each for `pacedS`. Before: a wait of at most `coolS` for a cool device, and a warm-up of
 * `warmupRuns` and `warmupS`, whichever is reached last.
 */
public final class Timing {
    private static final int MOST_RATES = 8;
    private static final double LONGEST_S = 7200;

    /** What the app measures by itself: 200 runs or 10 s. */
    public static final Timing STANDARD = new Timing(10, 200, 10, 0).prepared(2, 60);

    public final int warmupRuns;
    public final int minRuns;
    public final double minSeconds;
    public final double sustainedS;
    public final double pacedS;
    public final double warmupS;
    public final double coolS;
    private final double[] fps;

    /** Neither cooled nor warmed up by time; no camera. */
    public Timing(int warmupRuns, int minRuns, double minSeconds, double sustainedS) {
        this.warmupRuns = warmupRuns;
        this.minRuns = minRuns;
        this.minSeconds = minSeconds;
        this.sustainedS = sustainedS;
        fps = new double[0];
        pacedS = 0;
        warmupS = 0;
        coolS = 0;
    }

    private Timing(Timing other, double warmupS, double coolS) {
        warmupRuns = other.warmupRuns;
        minRuns = other.minRuns;
        minSeconds = other.minSeconds;
        sustainedS = other.sustainedS;
        fps = other.fps;
        pacedS = other.pacedS;
        this.warmupS = warmupS;
        this.coolS = coolS;
    }

    private Timing(Fields found) throws BadJson {
        warmupRuns = (int) found.whole("warmup_runs", 0, 1_000_000);
        minRuns = (int) found.whole("min_runs", 1, 1_000_000);
        minSeconds = found.number("min_seconds", 1e-9, LONGEST_S);
        sustainedS = found.number("sustained_s", 0, LONGEST_S);
        fps = found.has("fps") ? found.numbersUpTo("fps", MOST_RATES, 1e-9, 1000) : new double[0];
        pacedS = found.has("paced_s") ? found.number("paced_s", 1e-9, 3600) : 0; // older hosts ask for less
        warmupS = found.has("warmup_s") ? found.number("warmup_s", 0, 600) : 0;
        coolS = found.has("cool_s") ? found.number("cool_s", 0, 3600) : 0;
    }

    static Timing read(Fields found) throws BadJson {
        return new Timing(found);
    }

    /** The same after a wait for a cool device and a warm-up of so many seconds. */
    public Timing prepared(double warmupS, double coolS) {
        return new Timing(this, warmupS, coolS);
    }

    public double[] fps() {
        return fps.clone();
    }
}
