package org.edgekd.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Map;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** Marked answers on the disk, whatever ends the process in between. */
public final class FieldLogTest {
    private static final String IMAGE = Hash.sha256(new byte[] {1});
    private static final String OTHER = Hash.sha256(new byte[] {2});

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private File file;
    private FieldLog log;
    private Model model;

    @Before
    public void setUp() throws Exception {
        file = new File(folder.getRoot(), "log/log.csv");
        log = new FieldLog(file);
        model = model("fake", Arrays.asList("a", "b", "c"), null);
    }

    private static Model model(String name, java.util.List<String> labels, Double quantile) throws Exception {
        Map<String, Object> found = ModelTest.described(false, Fakes.grey(9, 7, 200));
        found.put("name", name);
        found.put("label_names", labels);
        found.put("conformal", quantile == null ? null : ModelTest.object("quantile", quantile, "alpha", 0.1));
        return Model.read(ModelTest.bytes(found), ByteBuffer.wrap(ModelTest.FILE));
    }

    private static Classifier.Result result(Model model, float... probs) throws EngineException {
        return new Classifier.Result(probs, new byte[0], null, model, 0, 0);
    }

    private LogEntry entry(String image, LogEntry.Mark mark, int trueLabel) throws Exception {
        return LogEntry.of(model, image, result(model, 0.1f, 0.7f, 0.2f), mark, trueLabel);
    }

    private String text() throws IOException {
        return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
    }

    @Test
    public void aMarkIsThereInTheNextProcess() throws Exception {
        assertEquals(0, log.read().entries.size());
        log.append(entry(IMAGE, LogEntry.Mark.WRONG, 2));
        LogEntry found = new FieldLog(file).read().find(model.sha256, IMAGE);
        assertEquals(1, found.answer);
        assertEquals(2, found.trueLabel);
        assertEquals(LogEntry.Mark.WRONG, found.mark);
        assertEquals(0.7, found.confidence(), 0); // the shortest text of the float
        assertNull(log.read().find(model.sha256, OTHER));
        assertTrue(text(), text().startsWith("time,model,model_sha256,image_sha256,probs,answer,set,unsure,mark,true_label\n"));
        String row = ",\"{\"\"a\"\":0.1,\"\"b\"\":0.7,\"\"c\"\":0.2}\",b,,no,wrong,c\n";
        assertTrue(text(), text().endsWith(row));
    }

    @Test
    public void theLastMarkOfAnImageHoldsAndOneWithdrawnIsNone() throws Exception {
        log.append(entry(IMAGE, LogEntry.Mark.WRONG, 2));
        log.append(entry(OTHER, LogEntry.Mark.RIGHT, 1));
        log.append(entry(IMAGE, LogEntry.Mark.RIGHT, 1));
        assertEquals(2, log.read().entries.size());
        assertEquals(IMAGE, log.read().entries.get(1).imageSha256);
        assertEquals(LogEntry.Mark.RIGHT, log.read().find(model.sha256, IMAGE).mark);
        log.append(entry(OTHER, LogEntry.Mark.WITHDRAWN, -1));
        assertEquals(1, log.read().entries.size());
        String shared = new String(log.read().csv(), StandardCharsets.UTF_8);
        assertEquals(2, shared.split("\n").length);
        assertTrue(shared.contains(",right,b"));
        log.clear();
        log.clear();
        assertEquals(0, log.read().entries.size());
    }

    @Test
    public void setsAndSilenceAreKept() throws Exception {
        Model sets = model("sets", Arrays.asList("a", "b", "c"), 0.9);
        log.append(LogEntry.of(sets, IMAGE, result(sets, 0.1f, 0.7f, 0.2f), LogEntry.Mark.RIGHT, 1));
        assertTrue(text().contains(",b,\"[\"\"b\"\",\"\"c\"\",\"\"a\"\"]\",yes,right,b")); // all are possible: not sure
        assertEquals(1, log.read().entries.get(0).setHolds());
        Model none = model("none", Arrays.asList("a", "b", "c"), 0.0);
        log.append(LogEntry.of(none, OTHER, result(none, 0.1f, 0.7f, 0.2f), LogEntry.Mark.WRONG, -1));
        assertTrue(text().endsWith(",b,[],yes,wrong,\n"));
        assertEquals(-1, log.read().entries.get(1).setHolds());
    }

    @Test
    public void marksThatContradictThemselvesAreNotWritten() {
        assertThrows(BadLog.class, () -> entry(IMAGE, LogEntry.Mark.RIGHT, 2));
        assertThrows(BadLog.class, () -> entry(IMAGE, LogEntry.Mark.RIGHT, -1));
        assertThrows(BadLog.class, () -> entry(IMAGE, LogEntry.Mark.WRONG, 1));
        assertThrows(BadLog.class, () -> entry(IMAGE, LogEntry.Mark.WITHDRAWN, 0));
    }

    @Test
    public void labelsThatASpreadsheetWouldRun() throws Exception {
        Model odd = model("=cmd|' /C calc'!A0", Arrays.asList("=1+1", "'x, \"y\"", "-"), null);
        log.append(LogEntry.of(odd, IMAGE, result(odd, 0.7f, 0.1f, 0.2f), LogEntry.Mark.WRONG, 1));
        for (String cell : Csv.fields(text().split("\n")[1])) {
            assertTrue(cell, cell.isEmpty() || "=+-@".indexOf(cell.charAt(0)) < 0);
        }
        LogEntry found = log.read().entries.get(0);
        assertEquals(odd.name, found.model);
        assertEquals("=1+1", found.labelNames.get(found.answer));
        assertEquals("'x, \"y\"", found.labelNames.get(found.trueLabel));
    }

    @Test
    public void labelsThatMakeNoRow() throws Exception {
        Model broken = model("line\nbreak", Arrays.asList("a", "b", "c"), null);
        assertThrows(BadLog.class,
                () -> LogEntry.of(broken, IMAGE, result(broken, 0.7f, 0.1f, 0.2f), LogEntry.Mark.RIGHT, 0));
    }

    /** Wherever the end of the process, or of the battery, cuts the file: whole rows stay, and the next is whole. */
    @Test
    public void aFileThatWasCutOff() throws Exception {
        log.append(entry(IMAGE, LogEntry.Mark.RIGHT, 1));
        log.append(entry(OTHER, LogEntry.Mark.RIGHT, 1));
        byte[] whole = Files.readAllBytes(file.toPath());
        String third = Hash.sha256(new byte[] {3});
        for (int length = 0; length <= whole.length; length++) {
            Files.write(file.toPath(), Arrays.copyOf(whole, length));
            int rows = Math.max(0, new String(whole, 0, length, StandardCharsets.UTF_8).split("\n", -1).length - 2);
            assertEquals(rows, log.read().entries.size());
            assertEquals(0, log.read().damaged);
            log.append(entry(third, LogEntry.Mark.RIGHT, 1));
            assertEquals(rows + 1, log.read().entries.size());
            assertEquals(0, log.read().damaged);
        }
    }

    @Test
    public void damagedRowsAreCountedAndNotShared() throws Exception {
        log.append(entry(IMAGE, LogEntry.Mark.RIGHT, 1));
        String row = text().split("\n")[1];
        String[] bad = {"", "\"", ",,,", "x" + row, row.replace("0.7", "0.9"), row.replace(",b,", ",z,"),
            row.replace(",right,", ",perhaps,"), row.replace("fake", "fa\u0007ke"), row + ",", "\"a\"b",
            row.replace("\"\"c\"\"", "\"\"d\"\"")};
        try (RandomAccessFile out = new RandomAccessFile(file, "rw")) {
            out.seek(out.length());
            for (String each : bad) {
                out.write((each + "\n").getBytes(StandardCharsets.UTF_8));
            }
        }
        assertEquals(bad.length, log.read().damaged);
        assertEquals(1, log.read().entries.size());
        assertArrayEquals((text().split("\n")[0] + "\n" + row + "\n").getBytes(StandardCharsets.UTF_8), log.read().csv());
        log.append(entry(OTHER, LogEntry.Mark.RIGHT, 1));
        assertEquals(2, log.read().entries.size());
    }

    @Test
    public void aFullLogSaysSo() throws Exception {
        log.append(entry(IMAGE, LogEntry.Mark.RIGHT, 1));
        try (RandomAccessFile out = new RandomAccessFile(file, "rw")) {
            out.seek(FieldLog.MOST_BYTES - 10);
            out.write('\n');
        }
        BadLog found = assertThrows(BadLog.class, () -> log.append(entry(OTHER, LogEntry.Mark.RIGHT, 1)));
        assertEquals("The log is full. Share it, then clear it.", found.getMessage());
        assertEquals(1, log.read().entries.size());
    }

    @Test
    public void aFolderThatCannotBe() throws Exception {
        Files.write(file.getParentFile().toPath(), new byte[0]);
        assertThrows(IOException.class, () -> log.append(entry(IMAGE, LogEntry.Mark.RIGHT, 1)));
    }
}
