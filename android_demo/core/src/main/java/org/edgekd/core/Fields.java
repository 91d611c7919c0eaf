package org.edgekd.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A JSON object from outside, read field by field; each exception names the field, what was expected and what is there. */
public final class Fields {
    private static final int MAX_TEXT = 10_000;

    private final Map<String, Object> values;
    private final String where;

    private Fields(Map<String, Object> values, String where) {
        this.values = values;
        this.where = where;
    }

    /** The fields of a parsed object; `where` is its name in messages. */
    @SuppressWarnings("unchecked") // Json's maps have String keys
    public static Fields of(Object parsed, String where) throws BadJson {
        if (!(parsed instanceof Map)) {
            throw new BadJson(where + ": expected an object");
        }
        return new Fields((Map<String, Object>) parsed, where);
    }

    /** Whether a field is there and not null. */
    public boolean has(String key) {
        return values.get(key) != null;
    }

    public Set<String> keys() {
        return Collections.unmodifiableSet(values.keySet());
    }

    public String text(String key) throws BadJson {
        return text(values.get(key), key);
    }

    /** Text, or `fallback` where there is none. */
    public String text(String key, String fallback) throws BadJson {
        return has(key) ? text(key) : fallback;
    }

    /** One of these texts. */
    public String oneOf(String key, String... known) throws BadJson {
        String found = text(key);
        for (String each : known) {
            if (each.equals(found)) {
                return found;
            }
        }
        throw wrong(key, "one of " + java.util.Arrays.toString(known), found);
    }

    /** A sha256 in hexadecimal digits. */
    public String sha256(String key) throws BadJson {
        return sha256(values.get(key), key);
    }

    public boolean flag(String key) throws BadJson {
        Object found = values.get(key);
        if (!(found instanceof Boolean)) {
            throw wrong(key, "true or false", found);
        }
        return (Boolean) found;
    }

    /** A whole number from `low` to `high`. */
    public long whole(String key, long low, long high) throws BadJson {
        return whole(values.get(key), key, low, high);
    }

    /** A number from `low` to `high`. */
    public double number(String key, double low, double high) throws BadJson {
        return number(values.get(key), key, low, high);
    }

    /** As many numbers, each from `low` to `high`. */
    public double[] numbers(String key, int count, double low, double high) throws BadJson {
        return numbers(values.get(key), key, count, low, high);
    }

    /** At most so many numbers, each from `low` to `high`. */
    public double[] numbersUpTo(String key, int mostNumbers, double low, double high) throws BadJson {
        return numbers(values.get(key), key, list(key, 0, mostNumbers).size(), low, high);
    }

    /** Numbers [rows][columns], each from `low` to `high`. */
    public double[][] table(String key, int rows, int columns, double low, double high) throws BadJson {
        List<?> found = list(key, rows, rows);
        double[][] table = new double[rows][];
        for (int i = 0; i < rows; i++) {
            table[i] = numbers(found.get(i), key, columns, low, high);
        }
        return table;
    }

    /** Whole numbers, each from `low` to `high`. */
    public int[] wholes(String key, int mostNumbers, int low, int high) throws BadJson {
        List<?> found = list(key, 0, mostNumbers);
        int[] numbers = new int[found.size()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = (int) whole(found.get(i), key, low, high);
        }
        return numbers;
    }

    /** From `fewest` to `most` texts. */
    public List<String> texts(String key, int fewest, int most) throws BadJson {
        List<String> texts = new ArrayList<>();
        for (Object each : list(key, fewest, most)) {
            texts.add(text(each, key));
        }
        return Collections.unmodifiableList(texts);
    }

    /** As many hashes. */
    public List<String> hashes(String key, int count) throws BadJson {
        List<String> hashes = new ArrayList<>();
        for (Object each : list(key, count, count)) {
            hashes.add(sha256(each, key));
        }
        return Collections.unmodifiableList(hashes);
    }

    /** The object in a field. */
    public Fields fields(String key) throws BadJson {
        return of(values.get(key), inside(key));
    }

    /** From `fewest` to `most` objects. */
    public List<Fields> objects(String key, int fewest, int most) throws BadJson {
        List<Fields> objects = new ArrayList<>();
        for (Object each : list(key, fewest, most)) {
            objects.add(of(each, inside(key)));
        }
        return Collections.unmodifiableList(objects);
    }

    private List<?> list(String key, int fewest, int most) throws BadJson {
        Object found = values.get(key);
        int count = found instanceof List ? ((List<?>) found).size() : -1;
        if (count < fewest || count > most) {
            String expected = fewest == most ? "" + most : fewest + " to " + most;
            throw wrong(key, "a list of " + expected, count < 0 ? found : count + " values");
        }
        return (List<?>) found;
    }

    private String text(Object found, String key) throws BadJson {
        if (!(found instanceof String) || ((String) found).length() > MAX_TEXT) {
            throw wrong(key, "text of at most " + MAX_TEXT + " characters", found);
        }
        return (String) found;
    }

    private String sha256(Object found, String key) throws BadJson {
        if (!(found instanceof String) || !((String) found).matches("[0-9a-f]{64}")) {
            throw wrong(key, "a sha256 of 64 hexadecimal digits", found);
        }
        return (String) found;
    }

    private long whole(Object found, String key, long low, long high) throws BadJson {
        if (!(found instanceof Long) || (Long) found < low || (Long) found > high) {
            throw wrong(key, "a whole number from " + low + " to " + high, found);
        }
        return (Long) found;
    }

    private double number(Object found, String key, double low, double high) throws BadJson {
        double number = found instanceof Number ? ((Number) found).doubleValue() : Double.NaN;
        if (!(number >= low && number <= high)) {
            throw wrong(key, "a number from " + low + " to " + high, found);
        }
        return number;
    }

    private double[] numbers(Object found, String key, int count, double low, double high) throws BadJson {
        int length = found instanceof List ? ((List<?>) found).size() : -1;
        if (length != count) {
            throw wrong(key, "a list of " + count, length < 0 ? found : length + " values");
        }
        double[] numbers = new double[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = number(((List<?>) found).get(i), key, low, high);
        }
        return numbers;
    }

    private String inside(String key) {
        return where + "." + key;
    }

    private BadJson wrong(String key, String expected, Object found) {
        String text = found == null ? "nothing" : found.toString();
        text = text.length() > 80 ? text.substring(0, 80) + "…" : text;
        return new BadJson(inside(key) + ": expected " + expected + ", found " + text);
    }
}
