package org.edgekd.core;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A small strict JSON reader and writer (RFC 8259). Android's own is not on a plain JVM, and takes NaN.
 *
 * <p>Values: Map (in order), List, String, Long, Double, Boolean, null. Refused beside what is no JSON: text of more than
 * {@link #MAX_BYTES}, nesting deeper than {@link #MAX_DEPTH}, numbers that a double or a long cannot hold, two equal keys.
 */
public final class Json {
    public static final int MAX_BYTES = 4 << 20;
    public static final int MAX_DEPTH = 32;

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** The value that UTF-8 text holds. */
    public static Object parse(byte[] utf8) throws BadJson {
        if (utf8.length > MAX_BYTES) {
            throw new BadJson("expected at most " + MAX_BYTES + " bytes of JSON, found " + utf8.length);
        }
        try {
            return parse(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString());
        } catch (CharacterCodingException e) {
            throw new BadJson("not UTF-8", e);
        }
    }

    /** The value that text holds. */
    public static Object parse(String text) throws BadJson {
        Json reader = new Json(text);
        Object found = reader.value(0);
        reader.space();
        if (reader.at < text.length()) {
            throw reader.wrong("the end");
        }
        return found;
    }

    private Object value(int depth) throws BadJson {
        if (depth > MAX_DEPTH) {
            throw new BadJson("nested deeper than " + MAX_DEPTH);
        }
        space();
        char c = at < text.length() ? text.charAt(at) : 0;
        switch (c) {
            case '{':
                return object(depth);
            case '[':
                return list(depth);
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object(int depth) throws BadJson {
        Map<String, Object> found = new LinkedHashMap<>();
        at++;
        space();
        if (skips('}')) {
            return found;
        }
        do {
            space();
            String key = string();
            space();
            expect(':');
            Object value = value(depth + 1);
            if (found.containsKey(key)) {
                throw new BadJson("the key \"" + key + "\" twice");
            }
            found.put(key, value);
            space();
        } while (skips(','));
        expect('}');
        return found;
    }

    private List<Object> list(int depth) throws BadJson {
        List<Object> found = new ArrayList<>();
        at++;
        space();
        if (skips(']')) {
            return found;
        }
        do {
            found.add(value(depth + 1));
            space();
        } while (skips(','));
        expect(']');
        return found;
    }

    private String string() throws BadJson {
        expect('"');
        StringBuilder found = new StringBuilder();
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c == '"') {
                return found.toString();
            }
            if (c < ' ') {
                throw new BadJson("a control character inside a string");
            }
            found.append(c == '\\' ? escaped() : c);
        }
        throw wrong("\"");
    }

    private char escaped() throws BadJson {
        char c = at < text.length() ? text.charAt(at++) : 0;
        int known = "\"\\/bfnrt".indexOf(c);
        if (c != 0 && known >= 0) {
            return "\"\\/\b\f\n\r\t".charAt(known);
        }
        if (c != 'u' || at + 4 > text.length()) {
            throw wrong("an escape");
        }
        int code = 0;
        for (int i = 0; i < 4; i++) {
            int digit = hexadecimal(text.charAt(at++));
            if (digit < 0) {
                throw wrong("four hexadecimal digits");
            }
            code = code << 4 | digit;
        }
        return (char) code;
    }

    private static int hexadecimal(char c) {
        return c < 128 ? Character.digit(c, 16) : -1;
    }

    private Object number() throws BadJson {
        int from = at;
        skips('-');
        boolean isZero = at < text.length() && text.charAt(at) == '0';
        int digits = digits();
        boolean isWhole = true;
        if (digits == 0 || isZero && digits > 1) {
            throw wrong("a value");
        }
        if (skips('.')) {
            isWhole = false;
            need(digits());
        }
        if (skips('e') || skips('E')) {
            isWhole = false;
            if (!skips('+')) {
                skips('-');
            }
            need(digits());
        }
        String found = text.substring(from, at);
        try {
            return isWhole ? (Object) Long.valueOf(found) : (Object) finite(found);
        } catch (NumberFormatException e) {
            throw new BadJson("a number that is too large: " + shortened(found), e);
        }
    }

    private static Double finite(String text) {
        double found = Double.parseDouble(text);
        if (Double.isInfinite(found)) {
            throw new NumberFormatException(text);
        }
        return found;
    }

    private int digits() {
        int from = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        return at - from;
    }

    private void need(int digits) throws BadJson {
        if (digits == 0) {
            throw wrong("a digit");
        }
    }

    private Object word(String word, Object value) throws BadJson {
        if (!text.startsWith(word, at)) {
            throw wrong("a value");
        }
        at += word.length();
        return value;
    }

    private void space() {
        while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private boolean skips(char c) {
        boolean is = at < text.length() && text.charAt(at) == c;
        at += is ? 1 : 0;
        return is;
    }

    private void expect(char c) throws BadJson {
        if (!skips(c)) {
            throw wrong("'" + c + "'");
        }
    }

    private BadJson wrong(String expected) {
        return new BadJson("no JSON: expected " + expected + " at character " + at);
    }

    /** A number as JSON can hold it: null for NaN and infinity, which devices tell where they know nothing. */
    static Double finite(Double value) {
        return value == null || value.isNaN() || value.isInfinite() ? null : value;
    }

    private static String shortened(String found) {
        return found.length() > 40 ? found.substring(0, 40) + "…" : found;
    }

    /**
     * The text of a value: Map with String keys, List, CharSequence, Number, Boolean, double[], null.
     *
     * @throws IllegalArgumentException for NaN, infinity, or any other type
     */
    public static String write(Object value) {
        StringBuilder to = new StringBuilder();
        append(value, to);
        return to.toString();
    }

    private static void append(Object value, StringBuilder to) {
        if (value == null || value instanceof Boolean) {
            to.append(value);
        } else if (value instanceof CharSequence) {
            appendString((CharSequence) value, to);
        } else if (value instanceof Number) {
            appendNumber((Number) value, to);
        } else if (value instanceof double[]) {
            appendNumbers((double[]) value, to);
        } else if (value instanceof List) {
            appendList((List<?>) value, to);
        } else if (value instanceof Map) {
            appendMap((Map<?, ?>) value, to);
        } else {
            throw new IllegalArgumentException("no JSON value: " + value.getClass());
        }
    }

    private static void appendNumber(Number value, StringBuilder to) {
        if (Double.isNaN(value.doubleValue()) || Double.isInfinite(value.doubleValue())) {
            throw new IllegalArgumentException("JSON has no " + value);
        }
        to.append(value instanceof Float ? (Number) value.doubleValue() : value);
    }

    private static void appendNumbers(double[] values, StringBuilder to) {
        String before = "[";
        for (double value : values) {
            appendNumber(value, to.append(before));
            before = ",";
        }
        to.append(values.length == 0 ? "[]" : "]");
    }

    private static void appendList(List<?> values, StringBuilder to) {
        to.append('[');
        for (int i = 0; i < values.size(); i++) {
            append(values.get(i), i > 0 ? to.append(',') : to);
        }
        to.append(']');
    }

    private static void appendMap(Map<?, ?> values, StringBuilder to) {
        String before = "{";
        for (Map.Entry<?, ?> entry : values.entrySet()) {
            appendString((CharSequence) entry.getKey(), to.append(before));
            append(entry.getValue(), to.append(':'));
            before = ",";
        }
        to.append(values.isEmpty() ? "{}" : "}");
    }

    /** Everything beyond ASCII is escaped: the text survives any encoding, and lone surrogates are no broken UTF-8. */
    private static void appendString(CharSequence value, StringBuilder to) {
        to.append('"');
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '"' || c == '\\') {
                to.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                to.append("\\u").append(Integer.toHexString(0x10000 | c), 1, 5);
            } else {
                to.append(c);
            }
        }
        to.append('"');
    }
}
