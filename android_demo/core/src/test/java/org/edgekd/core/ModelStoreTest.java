package org.edgekd.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** Models that someone brings: taken whole after every check, or not at all. */
public final class ModelStoreTest {
    private static final Rgb IMAGE = Fakes.grey(9, 7, 200);

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private File root;
    private ModelStore store;
    private Fakes.MeanEngine engine;

    @Before
    public void setUp() {
        root = new File(folder.getRoot(), "models");
        store = new ModelStore(root);
        engine = new Fakes.MeanEngine(ModelTest.SIZE, 3, false);
    }

    /** The files of a good zip, which a test then spoils. */
    private static Map<String, byte[]> files() throws BadImage {
        Map<String, byte[]> files = new LinkedHashMap<>();
        files.put("model.tflite", ModelTest.FILE);
        files.put("golden/0.raw", Fakes.raw(IMAGE));
        files.put("model.json", ModelTest.bytes(ModelTest.described(false, IMAGE)));
        return files;
    }

    private static byte[] zip(Map<String, byte[]> files) throws IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        try (ZipOutputStream out = new ZipOutputStream(content)) {
            for (Map.Entry<String, byte[]> file : files.entrySet()) {
                out.putNextEntry(new ZipEntry(file.getKey()));
                out.write(file.getValue());
                out.closeEntry();
            }
        }
        return content.toByteArray();
    }

    private Model take(byte[] zip) throws Exception {
        return store.take(new ByteArrayInputStream(zip), new Fakes.OneEngine(engine), Fakes.RAW, Cancel.NEVER);
    }

    private Set<String> names() {
        String[] found = root.list();
        return new HashSet<>(Arrays.asList(found == null ? new String[0] : found));
    }

    private void refused(byte[] zip, String message) throws IOException {
        File before = store.current();
        CoreException found = assertThrows(CoreException.class, () -> take(zip));
        assertTrue(found.getMessage(), found.getMessage().contains(message));
        assertEquals(before, store.current());
        assertEquals(before == null ? 0 : 2, names().size());
    }

    private void refused(String name, byte[] content, String message) throws Exception {
        Map<String, byte[]> files = files();
        files.put(name, content);
        refused(zip(files), message);
    }

    private static byte[] described(String key, Object value) throws BadImage {
        Map<String, Object> description = ModelTest.described(false, IMAGE);
        description.put(key, value);
        return ModelTest.bytes(description);
    }

    @Test
    public void aModelIsTakenWithItsFiles() throws Exception {
        assertNull(store.current());
        Model model = take(zip(files()));
        assertEquals("fake", model.name);
        File home = store.current();
        for (Map.Entry<String, byte[]> file : files().entrySet()) {
            assertArrayEquals(file.getValue(), Files.readAllBytes(new File(home, file.getKey()).toPath()));
        }
        assertEquals(new HashSet<>(Arrays.asList(home.getName(), "current")), names());
        assertEquals(Hash.sha256(files().get("model.json")), home.getName());
        assertEquals(1, engine.runs);
        assertTrue(engine.isClosed);
        assertEquals(home, new ModelStore(root).current()); // another process
    }

    @Test
    public void anotherTakesItsPlaceAndTheSameOneToo() throws Exception {
        take(zip(files()));
        File first = store.current();
        Map<String, byte[]> other = files();
        other.put("model.json", described("name", "other"));
        assertEquals("other", take(zip(other)).name);
        assertNotEquals(first, store.current());
        assertEquals(2, names().size());
        File second = store.current();
        take(zip(other));
        assertNotEquals(second, store.current());
        assertEquals(new HashSet<>(Arrays.asList(second.getName() + "-2", "current")), names());
    }

    @Test
    public void theBuiltInModelComesBack() throws Exception {
        store.forget(); // there is none
        take(zip(files()));
        store.forget();
        assertNull(store.current());
        assertEquals(0, names().size());
    }

    @Test
    public void entriesOfFoldersAreNoFiles() throws Exception {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        try (ZipOutputStream out = new ZipOutputStream(content)) {
            out.putNextEntry(new ZipEntry("golden/"));
            for (Map.Entry<String, byte[]> file : files().entrySet()) {
                out.putNextEntry(new ZipEntry(file.getKey()));
                out.write(file.getValue());
            }
        }
        take(content.toByteArray());
        assertTrue(new File(store.current(), "golden/0.raw").isFile());
    }

    @Test
    public void namesThatLeaveTheFolder() throws Exception {
        take(zip(files()));
        String[] names = {"../evil", "/evil", "golden/../../evil", "golden/../evil", "..", ".hidden", "a/b/c", "a\\b",
            "golden//0.raw", "C:evil", "a\nb", "\u202Egpj.exe", "a b"};
        for (String name : names) {
            refused(name, new byte[] {1}, "a name that no model's file has");
        }
        assertEquals(1, folder.getRoot().list().length);
    }

    @Test
    public void filesTooManyTooFewOrTwice() throws Exception {
        refused("golden/9.raw", new byte[1], "a file that model.json does not name: golden/9.raw");
        refused("model.tflite/x", new byte[1], "as a file and as a folder");
        refused("MODEL.json", new byte[1], "MODEL.json twice");
        for (String name : files().keySet()) {
            Map<String, byte[]> files = files();
            files.remove(name);
            refused(zip(files), name.equals("model.json") ? "no model.json in it" : "The zip lacks " + name);
        }
        Map<String, byte[]> many = files();
        for (int i = 0; i < 1200; i++) {
            many.put("a" + i, new byte[0]);
        }
        refused(zip(many), "more than 1100 files");
    }

    @Test
    public void otherContentsThanTheHashesSay() throws Exception {
        take(zip(files()));
        byte[] changed = ModelTest.FILE.clone();
        changed[0]++;
        refused("model.tflite", changed, "model.tflite is not the file that model.json describes");
        refused("model.tflite", new byte[0], "is not the file");
        refused("golden/0.raw", Fakes.raw(Fakes.grey(9, 7, 201)), "golden/0.raw is not the file");
    }

    @Test
    public void descriptionsThatAreNone() throws Exception {
        refused("model.json", new byte[0], "");
        refused("model.json", "{}".getBytes(StandardCharsets.UTF_8), "model.json.schema: expected");
        refused("model.json", described("schema", "edgekd.app/2"), "expected schema edgekd.app/1");
        refused("model.json", described("display_names", Arrays.asList("a")), "display_names: expected a list of 3");
        refused("model.json", new byte[Json.MAX_BYTES + 1], "model.json has more than 4194304 bytes");
        Map<String, Object> sample = ModelTest.object("file", "golden/7.raw", "title", "x", "label", "");
        refused("model.json", described("samples", Arrays.asList(sample)), "no hash of the sample golden/7.raw");
        Map<String, Object> file = ModelTest.object("file", "../../x", "sha256", Hash.sha256(ModelTest.FILE),
                "size_bytes", ModelTest.FILE.length);
        refused("model.json", described("model", file), "The zip lacks ../../x");
    }

    @Test
    public void bombs() throws Exception {
        take(zip(files()));
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        try (ZipOutputStream out = new ZipOutputStream(content)) {
            out.putNextEntry(new ZipEntry("model.tflite"));
            byte[] zeros = new byte[1 << 20];
            for (long written = 0; written <= ModelStore.MOST_BYTES; written += zeros.length) {
                out.write(zeros);
            }
        }
        assertTrue(content.size() < 1 << 20); // small, until it is unpacked
        refused(content.toByteArray(), "more than 256 MiB");
    }

    @Test
    public void zipsThatAreNoneOrEndTooEarly() throws Exception {
        refused(new byte[0], "no zip with a model");
        refused("no zip".getBytes(StandardCharsets.UTF_8), "no zip with a model");
        byte[] whole = zip(files());
        for (int length : new int[] {40, 60, 100, whole.length / 4}) {
            refused(Arrays.copyOf(whole, length), "");
        }
        Random random = new Random(4);
        take(whole);
        for (int i = 0; i < 500; i++) {
            byte[] damaged = whole.clone();
            for (int change = 0; change < 4; change++) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
            }
            try {
                take(damaged); // what does not matter may be damaged
            } catch (CoreException e) {
                assertTrue(e.getMessage().length() < 1000);
            }
            assertEquals(ModelTest.FILE.length, new File(store.current(), "model.tflite").length());
            assertEquals(2, names().size());
        }
    }

    @Test
    public void goldenImagesThatAreAnsweredOtherwise() throws Exception {
        take(zip(files()));
        engine.poison = 0.06f;
        refused(zip(files()), "golden/0.raw: a probability differs by 0.0600 (tolerance 0.0500)");
        engine.poison = Float.NaN;
        refused(zip(files()), "a probability is not finite");
        engine = new Fakes.MeanEngine(ModelTest.SIZE + 1, 3, false);
        refused(zip(files()), "other tensors than its description");
        assertTrue(engine.isClosed);
    }

    @Test
    public void aFileOfWhichTheDeviceHasNoRoomOrThatIsCancelled() throws Exception {
        take(zip(files()));
        File before = store.current();
        InputStream breaks = new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("the card was taken out");
            }
        };
        EngineFactory engines = new Fakes.OneEngine(engine);
        assertThrows(IOException.class, () -> store.take(breaks, engines, Fakes.RAW, Cancel.NEVER));
        InputStream good = new ByteArrayInputStream(zip(files()));
        assertThrows(Cancelled.class, () -> store.take(good, engines, Fakes.RAW, () -> true));
        assertEquals(before, store.current());
        assertEquals(2, names().size());
    }

    @Test
    public void whatAnEndedProcessLeftIsNoModelAndGoesWithTheNext() throws Exception {
        take(zip(files()));
        File before = store.current();
        assertTrue(new File(root, "new/golden").mkdirs());
        assertTrue(new File(root, "0" + before.getName().substring(1)).mkdir());
        Files.write(new File(root, "current.part").toPath(), new byte[] {1});
        assertEquals(before, store.current());
        take(zip(files()));
        assertEquals(2, names().size());
    }

    @Test
    public void aPointerThatMakesNoSense() throws Exception {
        assertTrue(root.mkdirs());
        for (String text : new String[] {"", "..", "/", "0", "../../etc", String.join("", java.util.Collections.nCopies(64, "a"))}) {
            Files.write(new File(root, "current").toPath(), text.getBytes(StandardCharsets.UTF_8));
            assertNull(text, store.current());
        }
    }
}
