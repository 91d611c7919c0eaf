package org.edgekd.core;

import java.util.Arrays;

/** What a list of times in ms says, as edgekd.measures.latency.summarize: percentiles are interpolated linearly. */
public final class Statistics {
    public final int count;
    public final double median;
    public final double p90;
    public final double p99;
    public final double mean;

    /** Standard deviation of the sample (n - 1); 0 for one time. */
    public final double std;

    private Statistics(double[] sorted) {
        count = sorted.length;
        median = quantile(sorted, 0.5);
        p90 = quantile(sorted, 0.9);
        p99 = quantile(sorted, 0.99);
        mean = mean(sorted);
        std = std(sorted, mean);
    }

    /**
     * Of these times.
     *
     * @throws IllegalArgumentException for none, or times that are negative or not finite
     */
    public static Statistics of(double[] times) {
        double[] sorted = times.clone();
        Arrays.sort(sorted);
        boolean isFinite = sorted.length > 0 && sorted[0] >= 0 && sorted[sorted.length - 1] < Double.POSITIVE_INFINITY;
        if (!isFinite) { // NaN is sorted to the end
            throw new IllegalArgumentException("expected finite times, at least one, found " + times.length);
        }
        return new Statistics(sorted);
    }

    /** The median alone. */
    public static double median(double[] times) {
        return of(times).median;
    }

    private static double quantile(double[] sorted, double q) {
        double at = q * (sorted.length - 1);
        int low = (int) at;
        int high = Math.min(low + 1, sorted.length - 1);
        double share = at - low;
        double gap = sorted[high] - sorted[low];
        // From the nearer end, as NumPy does.
        return share >= 0.5 ? sorted[high] - gap * (1 - share) : sorted[low] + gap * share;
    }

    private static double mean(double[] values) {
        double sum = 0;
        for (double value : values) {
            sum += value;
        }
        return sum / values.length;
    }

    private static double std(double[] values, double mean) {
        double sum = 0;
        for (double value : values) {
            sum += (value - mean) * (value - mean);
        }
        return values.length > 1 ? Math.sqrt(sum / (values.length - 1)) : 0;
    }
}
