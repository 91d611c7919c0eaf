package org.edgekd.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.Test;

/** Runs of the embedded model and of jobs; documents against Python are tests/android/test_core.py's. */
public final class BenchmarkRunTest {
    private static final int SIZE = ModelTest.SIZE;
    private static final Timing SHORT = new Timing(2, 6, 5, 0);
    private static final Rgb IMAGE = Fakes.grey(9, 7, 200);

    private final Fakes.MeanEngine engine = new Fakes.MeanEngine(SIZE, 3, false);
    private final Fakes.Memory files = new Fakes.Memory();

    public BenchmarkRunTest() {
        files.contents.put("model.tflite", ModelTest.FILE);
        files.contents.put("golden/0.raw", Fakes.raw(IMAGE));
    }

    private Job embedded() throws Exception {
        return Job.embedded(ModelTest.model(false), files, 2, SHORT);
    }

    private DeviceReport run(Job job) throws Cancelled {
        return run(job, new Fakes.OneEngine(engine), Cancel.NEVER);
    }

    private static DeviceReport run(Job job, EngineFactory engines, Cancel cancel) throws Cancelled {
        return BenchmarkRun.run(job, true, engines, Fakes.RAW, new Fakes.Device(), Progress.NONE, cancel);
    }

    private static void failed(DeviceReport found, String stage, String reason) throws BadJson {
        assertEquals(stage, found.failureStage);
        assertTrue(found.failureReason, found.failureReason.startsWith(reason));
        Fields document = Fields.of(Json.parse(found.json()), "document");
        assertEquals(stage, document.fields("failure").text("stage"));
        assertFalse(document.has("times") || document.has("golden") || document.has("probs"));
    }

    @Test
    public void theEmbeddedModel() throws Exception {
        DeviceReport found = run(embedded());
        assertEquals("", found.failureReason);
        assertEquals(1, found.goldenImages);
        assertTrue(found.largestChange < 1e-6);
        assertEquals(6, found.inferenceMs.length);
        assertEquals(2, found.warmupRuns);
        assertEquals(2, found.threadsAsked);
        assertTrue(engine.isClosed);
        assertEquals(1 + 1 + 2 + 6, engine.runs); // first, golden, warm-up, timed
        Fields document = Fields.of(Json.parse(found.json()), "document");
        assertEquals("edgekd.device/1", document.text("schema"));
        assertEquals(Hash.sha256(ModelTest.FILE).substring(0, 16), document.text("key"));
        assertFalse(document.has("probs"));
    }

    @Test
    public void stepsAreTold() throws Exception {
        List<String> steps = new ArrayList<>();
        Progress progress = (step, done, of) -> {
            if (steps.isEmpty() || !steps.get(steps.size() - 1).equals(step)) {
                steps.add(step);
            }
        };
        Job job = Job.embedded(ModelTest.model(false), files, 1, new Timing(1, 5, 1, 0.5));
        EngineFactory engines = new Fakes.OneEngine(engine);
        DeviceReport found =
                BenchmarkRun.run(job, true, engines, Fakes.RAW, new Fakes.Device(), progress, Cancel.NEVER);
        assertEquals(Arrays.asList("files", "golden", "load", "warm-up", "inference", "stages", "sustained"), steps);
        assertTrue(found.sustained.get(0).runs > 0);
    }

    @Test
    public void warmsUpByTimeToo() throws Exception {
        Job job = Job.embedded(ModelTest.model(false), files, 1, SHORT.prepared(0.2, 0));
        DeviceReport found = run(job);
        assertTrue(found.warmupS >= 0.2);
        assertTrue(found.warmupRuns > 2); // of a network that takes microseconds
        assertEquals(1 + 1 + found.warmupRuns + 6, engine.runs);
        Fields times = Fields.of(Json.parse(found.json()), "document").fields("times");
        assertEquals(found.warmupRuns, times.whole("warmup_runs", 0, Integer.MAX_VALUE));
        assertEquals(found.warmupS, times.number("warmup_s", 0, 100), 0);
    }

    private DeviceReport runWarm(int warmLooks, double coolS, List<String> steps) throws Exception {
        Fakes.Device device = new Fakes.Device();
        device.warmLooks = warmLooks;
        Job job = Job.embedded(ModelTest.model(false), files, 1, SHORT.prepared(0, coolS));
        Progress progress = (step, done, of) -> steps.add(step);
        return BenchmarkRun.run(job, true, new Fakes.OneEngine(engine), Fakes.RAW, device, progress, Cancel.NEVER);
    }

    @Test
    public void waitsForACoolDevice() throws Exception {
        List<String> steps = new ArrayList<>();
        DeviceReport found = runWarm(1, 0.1, steps);
        assertTrue(found.coolingS >= 0.1);
        assertEquals(0.5, found.before.thermalHeadroom, 0);
        assertTrue(steps.indexOf("cooling") > 0 && steps.indexOf("cooling") < steps.indexOf("load"));
        assertTrue(found.notes.isEmpty());
        Fields times = Fields.of(Json.parse(found.json()), "document").fields("times");
        assertEquals(31.5, times.fields("after").number("battery_temperature_c", 0, 100), 0);
    }

    @Test
    public void aDeviceThatStaysWarmIsMeasuredWithANote() throws Exception {
        DeviceReport found = runWarm(1000, 0.1, new ArrayList<>());
        assertEquals(Arrays.asList("It was still warm after 0 s of waiting."), found.notes);
        assertEquals(6, found.inferenceMs.length);
        List<String> steps = new ArrayList<>();
        assertTrue(runWarm(1000, 0, steps).notes.isEmpty()); // nobody asked
        assertFalse(steps.contains("cooling"));
    }

    @Test
    public void whatIsWarm() {
        Conditions now = new Conditions();
        assertFalse(now.isWarm());
        now.throttling = "light";
        assertTrue(now.isWarm());
        now.throttling = "none";
        now.thermalHeadroom = Double.NaN;
        assertFalse(now.isWarm());
        now.thermalHeadroom = 0.71;
        assertTrue(now.isWarm());
    }

    @Test
    public void filesAreCheckedFirst() throws Exception {
        files.contents.put("model.tflite", new byte[5]);
        failed(run(embedded()), "files", "model.tflite is not the file that was sent");
        files.contents.remove("model.tflite");
        failed(run(embedded()), "files", "FileNotFoundException: model.tflite is missing");
    }

    @Test
    public void anImageThatIsDecodedOtherwise() throws Exception {
        Decoder other = file -> Fakes.grey(9, 7, 201);
        EngineFactory engines = new Fakes.OneEngine(engine);
        failed(
                BenchmarkRun.run(embedded(), true, engines, other, new Fakes.Device(), Progress.NONE, Cancel.NEVER),
                "decode",
                "golden/0.raw is decoded to other pixels");
        Decoder broken = file -> {
            throw new BadImage("It is damaged.");
        };
        failed(
                BenchmarkRun.run(embedded(), true, engines, broken, new Fakes.Device(), Progress.NONE, Cancel.NEVER),
                "decode",
                "It is damaged.");
    }

    @Test
    public void otherTensorsOtherProbabilities() throws Exception {
        Map<String, Object> description = ModelTest.described(false, IMAGE);
        @SuppressWarnings("unchecked")
        Map<String, Object> golden = (Map<String, Object>) description.get("golden");
        golden.put("pixels_sha256", Arrays.asList(Hash.sha256(new byte[0])));
        failed(run(job(description)), "preprocess", "golden/0.raw: the input tensor differs");
        golden.putAll(asMap(ModelTest.described(false, IMAGE).get("golden")));
        golden.put("probs", Arrays.asList(new double[] {0.9, 0.1, 0}));
        failed(run(job(description)), "probabilities", "golden/0.raw: a probability differs by 0.");
        engine.poison = Float.NaN;
        failed(run(embedded()), "probabilities", "golden/0.raw: a probability is not finite");
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> asMap(Object value) {
        return (Map<String, Object>) value;
    }

    private Job job(Map<String, Object> description) throws BadModel {
        Model model = Model.read(ModelTest.bytes(description), ByteBuffer.wrap(ModelTest.FILE));
        return Job.embedded(model, files, 2, SHORT);
    }

    @Test
    public void aRuntimeThatRefusesOrBreaks() throws Exception {
        failed(run(embedded(), factory(() -> {
            throw new EngineException("The model is of a newer version.");
        }), Cancel.NEVER), "runtime", "The model is of a newer version.");
        failed(run(embedded(), factory(() -> {
            throw new UnsatisfiedLinkError("no such library");
        }), Cancel.NEVER), "runtime", "UnsatisfiedLinkError: no such library");
        failed(run(embedded(), factory(() -> {
            throw new OutOfMemoryError();
        }), Cancel.NEVER), "runtime", "OutOfMemoryError");
        failed(run(embedded(), factory(() -> new Fakes.MeanEngine(SIZE, 4, false)), Cancel.NEVER),
                "runtime", "The model file has other tensors");
    }

    private interface Opened {
        Engine open() throws EngineException;
    }

    private static EngineFactory factory(Opened opened) {
        return new EngineFactory() {
            @Override
            public void prepare() {}

            @Override
            public Engine open(ByteBuffer model, int threads, boolean xnnpack) throws EngineException {
                return opened.open();
            }
        };
    }

    @Test
    public void anEngineIsClosedWhateverHappens() throws Exception {
        engine.poison = 5;
        run(embedded());
        assertTrue(engine.isClosed);
        Fakes.MeanEngine other = new Fakes.MeanEngine(SIZE, 3, false);
        Cancel late = () -> other.runs > 5;
        assertThrows(Cancelled.class, () -> run(embedded(), new Fakes.OneEngine(other), late));
        assertTrue(other.isClosed);
    }

    @Test
    public void aRefusalAnswersTheJobAsFarAsItCouldBeRead() throws Exception {
        files.contents.put("job.json", ("{\"schema\": \"edgekd.job/9\", \"key\": \"k\", \"round\": 3,"
                + "\"provenance\": \"emulated\"}").getBytes(StandardCharsets.UTF_8));
        BadJob bad = assertThrows(BadJob.class, () -> Job.read(files));
        DeviceReport found = BenchmarkRun.refusal(bad, new Fakes.Device());
        failed(found, "files", "expected a job of schema edgekd.job/1, found edgekd.job/9");
        assertEquals("k", found.key);
        assertEquals(3, found.round);
        assertEquals("emulated", found.provenance);
        files.contents.remove("job.json");
        assertTrue(assertThrows(BadJob.class, () -> Job.read(files)).getMessage().contains("job.json is missing"));
    }

    @Test
    public void longReasonsAreCut() throws Exception {
        char[] text = new char[5000];
        Arrays.fill(text, 'x');
        DeviceReport found = run(embedded(), factory(() -> {
            throw new EngineException(new String(text));
        }), Cancel.NEVER);
        assertEquals(500, found.failureReason.length());
    }
}
