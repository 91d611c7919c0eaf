package org.edgekd.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * How a model did where it was used, by the marks of a field log: the numbers of edgekd/measures/field.py. Each marked image
 * counts as independent.
 */
public final class FieldScores {
    public static final int BINS = 15;

    public final String model;
    public final String modelSha256;

    /** Of the most probable class, also where the answer was "not sure". */
    public final Proportion accuracy;

    public final Proportion unsure;

    /** Without the answers that were "not sure"; null for none. */
    public final Proportion sureAccuracy;

    /** Sets that hold the true label, where both are known; null for none. */
    public final Proportion setCoverage;

    /** Expected calibration error over {@link #bins} (Guo et al., ICML 2017). */
    public final double ece;

    /** Equal-width bins (low, high] of confidence. */
    public final List<Bin> bins;

    public final List<ByClass> classes;

    /** Answers of similar confidence. */
    public static final class Bin {
        public final double low;
        public final double high;

        /** The mean of the bin; 0 for an empty one. */
        public final double confidence;

        /** Null for an empty one. */
        public final Proportion accuracy;

        private Bin(int index, double sum, int right, int count) {
            low = edge(index);
            high = edge(index + 1);
            confidence = count == 0 ? 0 : sum / count;
            accuracy = proportion(right, count);
        }
    }

    /** Answers by class. */
    public static final class ByClass {
        public final String labelName;

        /** Of the images of the class those answered so; null without images. */
        public final Proportion recall;

        /** Of the answers of the class those marked right; null without answers. */
        public final Proportion precision;

        private ByClass(String labelName, Proportion recall, Proportion precision) {
            this.labelName = labelName;
            this.recall = recall;
            this.precision = precision;
        }
    }

    /** Entries of one model, at least one. */
    private FieldScores(List<LogEntry> entries) {
        LogEntry last = entries.get(entries.size() - 1);
        int right = 0;
        int silent = 0;
        int sureRight = 0;
        int held = 0;
        int known = 0;
        for (LogEntry entry : entries) {
            int isRight = entry.mark == LogEntry.Mark.RIGHT ? 1 : 0;
            right += isRight;
            silent += entry.isUnsure ? 1 : 0;
            sureRight += entry.isUnsure ? 0 : isRight;
            held += entry.setHolds() > 0 ? 1 : 0;
            known += entry.setHolds() >= 0 ? 1 : 0;
        }
        model = last.model;
        modelSha256 = last.modelSha256;
        accuracy = new Proportion(right, entries.size());
        unsure = new Proportion(silent, entries.size());
        sureAccuracy = proportion(sureRight, entries.size() - silent);
        setCoverage = proportion(held, known);
        bins = Collections.unmodifiableList(bins(entries));
        double gaps = 0;
        for (Bin bin : bins) {
            gaps += bin.accuracy == null ? 0 : Math.abs(bin.accuracy.count - bin.confidence * bin.accuracy.of);
        }
        ece = gaps / entries.size();
        classes = Collections.unmodifiableList(classes(entries, last.labelNames));
    }

    /** The scores of each model in a log, in the order of its first entry. */
    public static List<FieldScores> byModel(List<LogEntry> log) {
        Map<String, List<LogEntry>> found = new LinkedHashMap<>();
        for (LogEntry entry : log) {
            if (!found.containsKey(entry.modelSha256)) {
                found.put(entry.modelSha256, new ArrayList<>());
            }
            found.get(entry.modelSha256).add(entry);
        }
        List<FieldScores> scores = new ArrayList<>();
        for (List<LogEntry> entries : found.values()) {
            scores.add(new FieldScores(entries));
        }
        return scores;
    }

    private static List<Bin> bins(List<LogEntry> entries) {
        double[] sums = new double[BINS];
        int[] rights = new int[BINS];
        int[] counts = new int[BINS];
        for (LogEntry entry : entries) {
            int bin = 0;
            while (bin < BINS - 1 && entry.confidence() > edge(bin + 1)) {
                bin++;
            }
            sums[bin] += entry.confidence();
            rights[bin] += entry.mark == LogEntry.Mark.RIGHT ? 1 : 0;
            counts[bin]++;
        }
        List<Bin> bins = new ArrayList<>();
        for (int i = 0; i < BINS; i++) {
            bins.add(new Bin(i, sums[i], rights[i], counts[i]));
        }
        return bins;
    }

    /** As NumPy's linspace(0, 1, 16) has them, to the last digit: a confidence may lie on one. */
    private static double edge(int index) {
        return index == BINS ? 1 : index * (1.0 / BINS);
    }

    private static List<ByClass> classes(List<LogEntry> entries, List<String> labelNames) {
        int[][] counts = new int[labelNames.size()][3]; // images, answers, right ones
        for (LogEntry entry : entries) {
            counts[entry.answer][1]++;
            counts[entry.answer][2] += entry.mark == LogEntry.Mark.RIGHT ? 1 : 0;
            if (entry.trueLabel >= 0) {
                counts[entry.trueLabel][0]++;
            }
        }
        List<ByClass> classes = new ArrayList<>();
        for (int k = 0; k < counts.length; k++) {
            int[] n = counts[k];
            classes.add(new ByClass(labelNames.get(k), proportion(n[2], n[0]), proportion(n[2], n[1])));
        }
        return classes;
    }

    private static Proportion proportion(int count, int of) {
        return of == 0 ? null : new Proportion(count, of);
    }
}
