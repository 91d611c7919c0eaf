package org.edgekd.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.Test;

/** JSON: what is taken, what is refused, what is written. */
public final class JsonTest {
    private static String refused(String text) {
        return assertThrows(BadJson.class, () -> Json.parse(text)).getMessage();
    }

    @Test
    public void valuesKeepTheirKind() throws BadJson {
        Object found = Json.parse(" {\"a\": [1, -2.5, 1e3, true, null], \"b\": {}, \"c\": \"\\u00e4\\n\\\"/\\/\"} ");
        Map<String, Object> expected = new LinkedHashMap<>();
        expected.put("a", Arrays.asList(1L, -2.5, 1000.0, true, null));
        expected.put("b", Collections.emptyMap());
        expected.put("c", "\u00e4\n\"//");
        assertEquals(expected, found);
    }

    @Test
    public void everyPrefixOfADocumentIsRefused() {
        String text = "{\"a\": [1.5e-3, {\"b\": \"x\\u0041\"}, false, null]}";
        for (int length = 0; length < text.length(); length++) {
            refused(text.substring(0, length));
        }
    }

    @Test
    public void whatIsNoJsonIsRefused() {
        List<String> texts = Arrays.asList(
                "NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "1e", "--1", "'a'", "{a: 1}", "[1,]",
                "{\"a\":1,}", "[1 2]", "{\"a\" 1}", "\"\t\"", "\"\\x\"", "\"\\u00g0\"", "\"\\u\u0661111\"", "tru",
                "true false", "\u00a01");
        for (String text : texts) {
            refused(text);
        }
    }

    @Test
    public void numbersThatNothingHoldsAreRefused() {
        assertTrue(refused("1e999").contains("too large"));
        assertTrue(refused("9223372036854775808").contains("too large"));
        char[] digits = new char[100_000];
        Arrays.fill(digits, '9');
        assertTrue(refused(new String(digits)).length() < 200);
    }

    @Test
    public void depthIsBounded() throws BadJson {
        char[] open = new char[1_000_000];
        Arrays.fill(open, '[');
        assertTrue(refused(new String(open)).contains("deeper than"));
        String deepest = new String(open, 0, Json.MAX_DEPTH + 1);
        Json.parse(deepest + deepest.replace('[', ']'));
    }

    @Test
    public void equalKeysAreRefused() {
        assertTrue(refused("{\"a\": 1, \"a\": 1}").contains("twice"));
    }

    @Test
    public void bytesAreUtf8() throws BadJson {
        assertEquals("\u00e4\ud83d\ude00", Json.parse("\"\u00e4\ud83d\ude00\"".getBytes(StandardCharsets.UTF_8)));
        assertThrows(BadJson.class, () -> Json.parse(new byte[] {'"', (byte) 0xC3, '"'}));
        assertThrows(BadJson.class, () -> Json.parse(new byte[Json.MAX_BYTES + 1]));
    }

    @Test
    public void writingIsAsciiAndReadsBack() throws BadJson {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("text", "\u00e4\ud83d\ude00\u0000\"\\\u2028\ud800");
        value.put("numbers", Arrays.asList(0L, -1L, 0.1, 1e-300, Long.MAX_VALUE));
        value.put("empty", Arrays.asList(Collections.emptyList(), Collections.emptyMap(), null, true));
        String text = Json.write(value);
        assertTrue(text.matches("[ -~]+"));
        assertEquals(value, Json.parse(text));
        assertEquals("[[],[0.5,2.0],0.10000000149011612]",
                Json.write(Arrays.asList(new double[0], new double[] {0.5, 2}, 0.1f)));
    }

    @Test
    public void jsonHasNoNaN() {
        assertThrows(IllegalArgumentException.class, () -> Json.write(Double.NaN));
        assertThrows(IllegalArgumentException.class, () -> Json.write(new double[] {Double.POSITIVE_INFINITY}));
        assertThrows(IllegalArgumentException.class, () -> Json.write(new Object()));
    }
}
