package org.edgekd.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.Test;

/** Damaged files end in the one exception that their reader declares, and devices may say what they like. */
public final class HostileTest {
    private static final int DAMAGES = 3000;

    private final Random random = new Random(11);

    /** A few bytes changed, removed, doubled, or replaced by what readers stumble over. */
    private byte[] damaged(byte[] content) {
        byte[] found = content.clone();
        for (int i = random.nextInt(4); i >= 0; i--) {
            int at = random.nextInt(found.length);
            switch (random.nextInt(5)) {
                case 0:
                    found[at] = (byte) random.nextInt();
                    break;
                case 1:
                    found = Arrays.copyOf(found, Math.max(1, at));
                    break;
                case 2:
                    found[at] = (byte) "[]{}\",:-0e".charAt(random.nextInt(10));
                    break;
                case 3:
                    System.arraycopy(found, at, found, random.nextInt(at + 1), found.length - at);
                    break;
                default:
                    found[at] = (byte) "0123456789".charAt(random.nextInt(10));
            }
        }
        return found;
    }

    @Test
    public void rowsOfTheFieldLog() throws Exception {
        String row = "2026-03-01T00:00:00Z,m," + Hash.sha256(new byte[0]) + "," + Hash.sha256(new byte[1])
                + ",\"{\"\"a\"\":0.75,\"\"b\"\":0.25}\",a,\"[\"\"a\"\"]\",no,right,a";
        LogEntry.read(row);
        byte[] content = row.getBytes(StandardCharsets.UTF_8);
        int read = 0;
        for (int i = 0; i < DAMAGES; i++) {
            try {
                LogEntry found = LogEntry.read(new String(damaged(content), StandardCharsets.UTF_8));
                FieldScores.byModel(Arrays.asList(found));
                read++;
            } catch (BadLog e) {
                assertTrue(e.getMessage().length() < 1000);
            }
        }
        assertTrue(read > 0 && read < DAMAGES);
    }

    @Test
    public void descriptions() throws BadImage {
        byte[] json = ModelTest.bytes(ModelTest.described(false, Fakes.grey(9, 7, 200)));
        int read = 0;
        for (int i = 0; i < DAMAGES; i++) {
            try {
                Model.read(damaged(json), ByteBuffer.wrap(ModelTest.FILE));
                read++;
            } catch (BadModel e) {
                assertTrue(e.getMessage().length() < 1000);
            }
        }
        assertTrue(read < DAMAGES);
    }

    @Test
    public void jobs() {
        byte[] json = ("{\"schema\": \"edgekd.job/1\", \"key\": \"k\", \"round\": 0, \"provenance\": \"hardware\","
                + "\"format\": \"tflite\", \"runtime\": \"tflite\", "
                + "\"files\": {\"m\": {\"sha256\": \"" + Hash.sha256(new byte[0])
                + "\", \"size_bytes\": 0}}, \"threads\": 1}").getBytes();
        for (int i = 0; i < DAMAGES; i++) {
            Fakes.Memory files = new Fakes.Memory();
            files.contents.put("job.json", damaged(json));
            try {
                Job.read(files);
                throw new AssertionError("half a job");
            } catch (BadJob e) {
                assertTrue(e.getMessage().length() < 1000);
            }
        }
    }

    @Test
    public void tensors() {
        byte[] file = NpyTest.file(1, NpyTest.header("3, 4"), 12);
        for (int i = 0; i < DAMAGES; i++) {
            try {
                Npy found = Npy.of(ByteBuffer.wrap(damaged(file)));
                for (int row = 0; row < found.rows; row++) {
                    found.row(row);
                }
            } catch (IOException e) {
                assertTrue(e.getMessage().startsWith("no NumPy file"));
            }
        }
    }

    @Test
    public void devicesThatKnowNothing() throws BadJson {
        Conditions now = new Conditions();
        now.temperatureC = Double.NaN;
        now.batteryPercent = Double.POSITIVE_INFINITY;
        now.throttling = null;
        String nothing = "{\"load_1min\":null,\"frequency_mhz\":null,\"temperature_c\":null,\"throttled\":null,"
                + "\"throttling\":\"\"}";
        assertEquals(nothing, Json.write(now.toJson()));
        SystemFacts facts = new SystemFacts();
        facts.model = null;
        facts.memoryMib = Double.NaN;
        facts.software.put("app", null);
        Map<String, Object> found = new LinkedHashMap<>(facts.toJson());
        assertEquals("", found.get("model"));
        assertNull(found.get("memory_mib"));
        Json.parse(Json.write(found));
    }
}
