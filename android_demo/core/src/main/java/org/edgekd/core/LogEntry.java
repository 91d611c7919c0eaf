package org.edgekd.core;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * An answer and what a person said of it: a row of the field log, as edgekd/android/field_log.py reads it. No image, but the
 * hash of its file.
 */
public final class LogEntry {
    /** Whether the most probable class is what the image shows; or an earlier mark of the same image does not count. */
    public enum Mark { RIGHT, WRONG, WITHDRAWN }

    static final List<String> COLUMNS = Collections.unmodifiableList(Arrays.asList("time", "model", "model_sha256",
            "image_sha256", "probs", "answer", "set", "unsure", "mark", "true_label"));
    private static final int MOST_CHARACTERS = 200_000; // of a row: the probabilities of some thousand classes
    private static final int MOST_CLASSES = 100_000;
    private static final String[] TEXTS = {"model", "answer", "true_label"};
    private static final int LONGEST_TEXT = 1000;
    private static final String FORMULA = "=+-@'"; // a spreadsheet runs text that begins so

    public final Instant time;
    public final String model;
    public final String modelSha256;
    public final String imageSha256;
    public final List<String> labelNames;

    /** The most probable class. */
    public final int answer;

    public final boolean isUnsure;
    public final Mark mark;

    /** What the image shows; -1 where nobody said. */
    public final int trueLabel;

    /** As it stands in the file. */
    final String text;

    private final double[] probs;
    private final int[] set; // null: the model has no record of sets

    private LogEntry(String text, Fields row, List<String> labels, double[] probs, int[] set) throws BadJson, BadLog {
        this.text = text;
        time = time(row.text("time"));
        model = row.text("model");
        modelSha256 = row.sha256("model_sha256");
        imageSha256 = row.sha256("image_sha256");
        labelNames = Collections.unmodifiableList(labels);
        this.probs = probs;
        this.set = set;
        answer = index(labels, row.text("answer"));
        isUnsure = row.oneOf("unsure", "yes", "no").equals("yes");
        mark = Mark.valueOf(row.oneOf("mark", "right", "wrong", "withdrawn").toUpperCase(java.util.Locale.ROOT));
        trueLabel = row.text("true_label").isEmpty() ? -1 : index(labels, row.text("true_label"));
        check();
    }

    private void check() throws BadLog {
        double sum = 0;
        for (int k = 0; k < probs.length; k++) {
            sum += probs[k];
            if (probs[k] > probs[answer] || probs[k] == probs[answer] && k < answer) {
                throw new BadLog("the answer is not the most probable class");
            }
        }
        if (!(Math.abs(sum - 1) <= 1e-3)) {
            throw new BadLog("the probabilities have a sum of " + sum);
        }
        boolean agrees = mark == Mark.WITHDRAWN ? trueLabel < 0 : (mark == Mark.RIGHT) == (trueLabel == answer);
        if (!agrees) {
            throw new BadLog("the true label contradicts the mark");
        }
    }

    private static Instant time(String text) throws BadLog {
        try {
            return Instant.parse(text);
        } catch (DateTimeException e) {
            throw new BadLog("no time: " + text, e);
        }
    }

    private static int index(List<String> labels, String name) throws BadLog {
        int found = labels.indexOf(name);
        if (found < 0) {
            throw new BadLog("no label of the model: " + name);
        }
        return found;
    }

    /**
     * What a person says of an answer, now.
     *
     * @param trueLabel what the image shows; -1 for unknown, or where an earlier mark is withdrawn
     * @throws BadLog for a mark that the label contradicts, or labels that make no row
     */
    public static LogEntry of(Model model, String imageSha256, Classifier.Result result, Mark mark, int trueLabel)
            throws BadLog {
        Map<String, Object> probs = new LinkedHashMap<>();
        float[] found = result.probs();
        for (int k = 0; k < found.length; k++) {
            probs.put(model.labelNames.get(k), Double.parseDouble(Float.toString(found[k]))); // the shortest text
        }
        List<Object> set = new ArrayList<>();
        for (int k : result.possible()) {
            set.add(model.labelNames.get(k));
        }
        List<String> row = Arrays.asList(
                Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(),
                guarded(model.name),
                model.sha256,
                imageSha256,
                Json.write(probs),
                guarded(model.labelNames.get(result.best)),
                model.hasSets ? Json.write(set) : "",
                result.isUnsure ? "yes" : "no",
                mark.name().toLowerCase(java.util.Locale.ROOT),
                trueLabel < 0 ? "" : guarded(model.labelNames.get(trueLabel)));
        return read(Csv.row(row)); // what cannot be read back is not written
    }

    private static String guarded(String text) {
        return !text.isEmpty() && FORMULA.indexOf(text.charAt(0)) >= 0 ? "'" + text : text;
    }

    private static String unguarded(String text) throws BadLog {
        if (text.length() > LONGEST_TEXT) {
            throw new BadLog("a name of more than " + LONGEST_TEXT + " characters");
        }
        return text.startsWith("'") ? text.substring(1) : text;
    }

    /** The entry that a row holds. */
    static LogEntry read(String row) throws BadLog {
        if (row.length() > MOST_CHARACTERS) {
            throw new BadLog("more than " + MOST_CHARACTERS + " characters");
        }
        for (int i = 0; i < row.length(); i++) {
            if (row.charAt(i) < ' ') {
                throw new BadLog("a control character");
            }
        }
        List<String> found = Csv.fields(row);
        if (found.size() != COLUMNS.size()) {
            throw new BadLog(COLUMNS.size() + " columns expected, found " + found.size());
        }
        Map<String, Object> values = new LinkedHashMap<>();
        for (int i = 0; i < found.size(); i++) {
            values.put(COLUMNS.get(i), found.get(i));
        }
        for (String name : TEXTS) {
            values.put(name, unguarded((String) values.get(name)));
        }
        try {
            Fields probs = Fields.of(Json.parse((String) values.get("probs")), "probs");
            List<String> labels = new ArrayList<>(probs.keys());
            if (labels.size() < 2 || labels.size() > MOST_CLASSES) {
                throw new BadLog("2 to " + MOST_CLASSES + " classes expected, found " + labels.size());
            }
            double[] numbers = new double[labels.size()];
            for (int k = 0; k < numbers.length; k++) {
                numbers[k] = probs.number(labels.get(k), 0, 1);
            }
            return new LogEntry(row, Fields.of(values, "row"), labels, numbers, set((String) values.get("set"), labels));
        } catch (BadJson e) {
            throw new BadLog(e.getMessage(), e);
        }
    }

    private static int[] set(String text, List<String> labels) throws BadJson, BadLog {
        if (text.isEmpty()) {
            return null;
        }
        List<String> names = Fields.of(Collections.singletonMap("set", Json.parse(text)), "row")
                .texts("set", 0, labels.size());
        int[] found = new int[names.size()];
        for (int i = 0; i < found.length; i++) {
            found[i] = index(labels, names.get(i));
            if (names.indexOf(names.get(i)) < i) {
                throw new BadLog("a label twice in the set: " + names.get(i));
            }
        }
        return found;
    }

    /** The probability of the answer. */
    public double confidence() {
        return probs[answer];
    }

    /** Whether the set has the true label: 1 or 0; -1 where one of the two is not known. */
    int setHolds() {
        if (set == null || trueLabel < 0) {
            return -1;
        }
        for (int k : set) {
            if (k == trueLabel) {
                return 1;
            }
        }
        return 0;
    }
}
