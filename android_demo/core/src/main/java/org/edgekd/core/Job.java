package org.edgekd.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One artefact to run once in a fresh process, and the files it needs: `job.json` of schema `edgekd.job/1` (see
 * edgekd.benchmarking.device_document), or the model that the app carries.
 */
public final class Job {
    public static final String SCHEMA = "edgekd.job/1";
    public static final String NAME = "job.json";
    private static final int MOST_CLASSES = 100_000;
    private static final int MOST_IMAGES = 10_000_000;

    public final String key;
    public final int round;
    public final String provenance;
    public final String runtime;

    /** Name to sha256, in order; the first is the model. */
    public final Map<String, String> filesSha256;

    public final InputContract input;
    public final List<String> labelNames;
    public final boolean isInt8;
    public final double temperature;
    public final Golden golden;

    /** .npy file of the images to answer, [N, S, S, 3] uint8; "" for none. */
    public final String testPixels;

    /** Some of them as files. */
    public final TestFiles testFiles;

    /** Null: nothing is timed. */
    public final Timing timing;

    public final int threads;

    /** Whether processors were asked for, which an app cannot choose. */
    public final boolean wantsCpus;

    /** Where the files are. */
    public final JobFiles files;

    private final int[] testIndices;

    private Job(Fields found, JobFiles files) throws BadJson {
        this.files = files;
        key = found.text("key");
        round = (int) found.whole("round", 0, Integer.MAX_VALUE);
        provenance = found.oneOf("provenance", "hardware", "emulated");
        runtime = found.text("runtime");
        filesSha256 = hashes(found.fields("files"));
        input = InputContract.read(found.fields("input"));
        labelNames = found.texts("label_names", 1, MOST_CLASSES);
        isInt8 = found.oneOf("io", "uint8", "int8").equals("int8");
        temperature = found.number("calibration_temperature", 1e-3, 1e3);
        golden = Golden.ofJob(found.fields("golden"), labelNames.size());
        boolean hasTest = found.has("test");
        testPixels = hasTest ? found.fields("test").text("pixels") : "";
        testIndices = hasTest ? found.fields("test").wholes("indices", MOST_IMAGES, 0, MOST_IMAGES) : new int[0];
        boolean hasFiles = hasTest && found.fields("test").has("files");
        testFiles = hasFiles ? TestFiles.read(found.fields("test").fields("files")) : TestFiles.NONE;
        timing = found.has("timing") ? Timing.read(found.fields("timing")) : null;
        threads = (int) found.whole("threads", 1, 1024);
        wantsCpus = found.has("cpus") && found.wholes("cpus", 4096, 0, 1 << 20).length > 0;
        needFiles();
    }

    private Job(Model model, JobFiles assets, int threads, Timing timing) {
        files = assets;
        key = model.sha256.substring(0, 16);
        round = 0;
        provenance = "hardware";
        runtime = "tflite";
        Map<String, String> hashes = new LinkedHashMap<>();
        hashes.put(model.file, model.sha256);
        for (int i = 0; i < model.golden.images.size(); i++) {
            hashes.put(model.golden.images.get(i), model.goldenSha256.get(i));
        }
        filesSha256 = Collections.unmodifiableMap(hashes);
        input = model.input;
        labelNames = model.labelNames;
        isInt8 = model.isInt8;
        temperature = model.temperature;
        golden = model.golden;
        testPixels = "";
        testIndices = new int[0];
        testFiles = TestFiles.NONE;
        this.timing = timing;
        this.threads = threads;
        wantsCpus = false;
    }

    /** Measures the model that the app carries; the key is the start of its hash, and no answers are asked for. */
    public static Job embedded(Model model, JobFiles assets, int threads, Timing timing) {
        return new Job(model, assets, threads, timing);
    }

    /**
     * The job in a folder. Its files are named, but not looked at yet.
     *
     * @throws BadJob for no job.json, one that is no JSON, of another version, or with a field that is missing or wrong
     */
    public static Job read(File folder) throws BadJob {
        return read(new FolderFiles(folder));
    }

    /** The job that some files hold. */
    public static Job read(JobFiles files) throws BadJob {
        Fields found = null;
        try {
            found = Fields.of(Json.parse(content(files, NAME, Json.MAX_BYTES)), "job");
            String schema = found.text("schema", "none");
            if (!schema.equals(SCHEMA)) {
                throw new BadJson("expected a job of schema " + SCHEMA + ", found " + schema);
            }
            return new Job(found, files);
        } catch (BadJson | IOException e) {
            throw bad(e.getMessage(), found);
        }
    }

    private static BadJob bad(String message, Fields found) {
        String key = "";
        int round = 0;
        String provenance = "hardware";
        try {
            if (found != null) {
                key = found.text("key");
                round = (int) found.whole("round", 0, Integer.MAX_VALUE);
                provenance = found.oneOf("provenance", "hardware", "emulated");
            }
        } catch (BadJson e) {
            // then the answer has less to go by
        }
        return new BadJob(message, key, round, provenance);
    }

    private static Map<String, String> hashes(Fields found) throws BadJson {
        Map<String, String> hashes = new LinkedHashMap<>();
        for (String name : found.keys()) {
            hashes.put(name, found.fields(name).sha256("sha256"));
        }
        if (hashes.isEmpty()) {
            throw new BadJson("job.files: expected the model's file first, found none");
        }
        return Collections.unmodifiableMap(hashes);
    }

    /** Refuses files that are used without having a hash. */
    private void needFiles() throws BadJson {
        need(golden.pixels);
        for (String name : golden.images) {
            need(name);
        }
        if (!testPixels.isEmpty()) {
            need(testPixels);
        }
        for (String name : testFiles.images) {
            need(name);
        }
    }

    private void need(String name) throws BadJson {
        if (!filesSha256.containsKey(name)) {
            throw new BadJson("job.files: expected the hash of " + name + ", found none");
        }
    }

    /** The name of the file to load. */
    public String model() {
        return filesSha256.keySet().iterator().next();
    }

    /** Rows of {@link #testPixels} to answer, in order. */
    public int[] testIndices() {
        return testIndices.clone();
    }

    /** All bytes of a file. */
    static byte[] content(JobFiles files, String name, int most) throws IOException {
        try (InputStream file = files.open(name)) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            byte[] piece = new byte[1 << 16];
            for (int count = file.read(piece); count >= 0; count = file.read(piece)) {
                content.write(piece, 0, count);
                if (content.size() > most) {
                    throw new IOException(name + " has more than " + most + " bytes");
                }
            }
            return content.toByteArray();
        }
    }
}
