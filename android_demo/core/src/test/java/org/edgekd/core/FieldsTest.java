package org.edgekd.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import org.junit.Test;

/** Fields of objects from outside: each message names the field, what was expected and what is there. */
public final class FieldsTest {
    private static Fields of(String text) throws BadJson {
        return Fields.of(Json.parse(text), "job");
    }

    private interface Read {
        void from(Fields fields) throws BadJson;
    }

    private static void refused(String text, String message, Read read) throws BadJson {
        Fields fields = of(text);
        String found = assertThrows(BadJson.class, () -> read.from(fields)).getMessage();
        assertTrue(found, found.startsWith(message));
    }

    @Test
    public void whatIsThereIsRead() throws BadJson {
        Fields found = of("{\"t\": \"x\", \"n\": 3, \"x\": 0.5, \"l\": [1, 2.5], \"m\": [[1], [2]], \"w\": [7],"
                + "\"f\": true, \"o\": {\"a\": \"b\"}, \"p\": [{\"a\": \"c\"}], \"nothing\": null}");
        assertEquals("x", found.text("t"));
        assertEquals(3, found.whole("n", 0, 3));
        assertEquals(3.0, found.number("n", 0, 3), 0);
        assertArrayEquals(new double[] {1, 2.5}, found.numbers("l", 2, 0, 3), 0);
        assertArrayEquals(new double[] {2}, found.table("m", 2, 1, 0, 9)[1], 0);
        assertArrayEquals(new int[] {7}, found.wholes("w", 1, 0, 9));
        assertTrue(found.flag("f"));
        assertEquals("b", found.fields("o").text("a"));
        assertEquals("c", found.objects("p", 1, 1).get(0).text("a"));
        assertEquals("other", found.text("nothing", "other"));
        assertEquals(false, found.has("nothing") || found.has("absent"));
        assertEquals(Arrays.asList("x"), of("{\"a\": [\"x\"]}").texts("a", 1, 1));
    }

    @Test
    public void whatIsWrongIsNamed() throws BadJson {
        refused("{}", "job.a: expected text", f -> f.text("a"));
        refused("{\"a\": 1.0}", "job.a: expected a whole number from 0 to 5, found 1.0", f -> f.whole("a", 0, 5));
        refused("{\"a\": 6}", "job.a: expected a whole number from 0 to 5, found 6", f -> f.whole("a", 0, 5));
        refused("{\"a\": \"1\"}", "job.a: expected a number from 0.0 to 5.0, found 1", f -> f.number("a", 0, 5));
        refused("{\"a\": [1]}", "job.a: expected a list of 2, found 1 values", f -> f.numbers("a", 2, 0, 5));
        refused("{\"a\": [1, []]}", "job.a: expected a number", f -> f.numbers("a", 2, 0, 5));
        refused("{\"a\": [[1], 1]}", "job.a: expected a list of 1, found 1", f -> f.table("a", 2, 1, 0, 5));
        String message = "job.a: expected one of [left, right], found up";
        refused("{\"a\": \"up\"}", message, f -> f.oneOf("a", "left", "right"));
        refused("{\"a\": \"12ab\"}", "job.a: expected a sha256", f -> f.sha256("a"));
        refused("{\"a\": [\"12ab\"]}", "job.a: expected a sha256", f -> f.hashes("a", 1));
        refused("{\"a\": []}", "job.a: expected an object", f -> f.fields("a"));
        refused("{\"a\": {\"b\": 1}}", "job.a.b: expected text", f -> f.fields("a").text("b"));
        refused("{\"a\": 1}", "job.a: expected true or false, found 1", f -> f.flag("a"));
        assertThrows(BadJson.class, () -> Fields.of("text", "job"));
    }

    @Test
    public void longTextIsRefusedAndShortened() throws BadJson {
        char[] text = new char[20_000];
        Arrays.fill(text, 'x');
        Fields found = of("{\"a\": \"" + new String(text) + "\"}");
        assertTrue(assertThrows(BadJson.class, () -> found.text("a")).getMessage().length() < 200);
    }
}
