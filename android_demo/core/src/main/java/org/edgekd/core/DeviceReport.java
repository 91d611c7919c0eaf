package org.edgekd.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a run found, for the screen and as a document of schema `edgekd.device/1` ({@link #json}). Null, NaN or empty for
 * what was not measured; `failureStage` is "" for a run that went through.
 */
public final class DeviceReport {
    public static final String SCHEMA = "edgekd.device/1";

    public final String key;
    public final int round;
    public final String provenance;
    public final SystemFacts system;

    /** "files", "runtime", "decode", "preprocess", "probabilities" or "measure"; "" for none. */
    public String failureStage = "";

    public String failureReason = "";

    /** Golden images that gave what they must; 0 before the replay is through. */
    public int goldenImages;

    /** Of a probability, against the expected one. */
    public double largestChange;

    public double tolerance;
    public String runtimeName = "";
    public String runtimeVersion = "";
    public String delegate = "";
    public int threadsAsked;

    /** Threads that worked in the timed runs; null where that cannot be told. */
    public Integer threadsRan;

    public double importMs = Double.NaN;
    public double loadMs = Double.NaN;
    public double firstMs = Double.NaN;
    /** How long it waited for a cool device, in seconds. */
    public double coolingS;

    /** Runs and seconds of the warm-up, as they were. */
    public int warmupRuns;

    public double warmupS;
    public double[] inferenceMs = {};
    public double[] decodeMs = {};
    public double[] preprocessMs = {};

    /** Processor seconds per second of the timed runs; null where that cannot be told. */
    public Double processorShare;

    public final List<Window> sustained = new ArrayList<>();
    public final List<Paced> paced = new ArrayList<>();
    public Double bareRssMib;
    public Double peakRssMib;
    public Double pssBeforeMib;
    public Double pssAfterMib;
    public Conditions before;
    public Conditions after;

    /** Probabilities [N][K] of the test images; null if none were asked for. */
    public List<float[]> probs;

    /** Test images from their files on; null if none were asked for. */
    public List<FromFile> fromFiles;

    public final List<String> notes = new ArrayList<>();

    /** A piece of a sustained run. */
    public static final class Window {
        public final double startS;
        public final int runs;
        public final double imagesPerS;
        public final double medianMs;
        public final Conditions now; // at its end

        Window(double startS, double seconds, double[] samples, Conditions now) {
            this.startS = startS;
            runs = samples.length;
            imagesPerS = samples.length / seconds;
            medianMs = Statistics.median(samples);
            this.now = now;
        }

        private Map<String, Object> toJson() {
            Map<String, Object> found = new LinkedHashMap<>();
            found.put("start_s", startS);
            found.put("runs", runs);
            found.put("images_per_s", imagesPerS);
            found.put("median_ms", medianMs);
            found.put("temperature_c", Json.finite(now.temperatureC));
            found.put("frequency_mhz", Json.finite(now.frequencyMhz));
            now.putHeat(found);
            return found;
        }
    }

    /** A run at a camera's rate; `dropped`: frames that came while one was at work. */
    public static final class Paced {
        public final double fps;
        public final int dropped;
        public final Conditions now; // at its end
        private final double[] runsMs;

        Paced(double fps, double[] runsMs, int dropped, Conditions now) {
            this.fps = fps;
            this.runsMs = runsMs;
            this.dropped = dropped;
            this.now = now;
        }

        private Map<String, Object> toJson() {
            Map<String, Object> found = new LinkedHashMap<>();
            found.put("fps", fps);
            found.put("runs_ms", runsMs);
            found.put("dropped", dropped);
            found.put("temperature_c", Json.finite(now.temperatureC));
            found.put("frequency_mhz", Json.finite(now.frequencyMhz));
            now.putHeat(found);
            return found;
        }
    }

    DeviceReport(String key, int round, String provenance, SystemFacts system) {
        this.key = key;
        this.round = round;
        this.provenance = provenance;
        this.system = system;
    }

    /** Ends as a failure at one of the stages. */
    void fail(String stage, String reason) {
        failureStage = stage;
        failureReason = reason;
    }

    public boolean hasFailed() {
        return !failureStage.isEmpty();
    }

    public boolean isTimed() {
        return inferenceMs.length > 0;
    }

    /** The document. */
    public String json() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("schema", SCHEMA);
        found.put("key", key);
        found.put("round", round);
        found.put("provenance", provenance);
        found.put("system", system.toJson());
        if (hasFailed()) {
            found.put("failure", failure());
        } else {
            found.put("golden", golden());
            found.put("runtime", runtime());
            if (isTimed()) {
                found.put("times", times());
            }
            if (probs != null) {
                found.put("probs", rows(probs));
            }
            if (fromFiles != null) {
                List<Object> files = new ArrayList<>();
                for (FromFile file : fromFiles) {
                    files.add(file.toJson());
                }
                found.put("from_files", files);
            }
        }
        found.put("notes", notes);
        return Json.write(found);
    }

    private Map<String, Object> failure() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("stage", failureStage);
        found.put("reason", failureReason);
        return found;
    }

    private Map<String, Object> golden() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("images", goldenImages);
        found.put("largest_change", largestChange);
        found.put("tolerance", tolerance);
        return found;
    }

    private Map<String, Object> runtime() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("name", runtimeName);
        found.put("version", runtimeVersion);
        found.put("delegate", delegate);
        found.put("threads_asked", threadsAsked);
        found.put("threads_ran", threadsRan);
        found.put("cure", "");
        return found;
    }

    private Map<String, Object> times() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("import_ms", importMs);
        found.put("load_ms", loadMs);
        found.put("first_ms", firstMs);
        found.put("cooling_s", coolingS);
        found.put("warmup_runs", warmupRuns);
        found.put("warmup_s", warmupS);
        found.put("inference_ms", inferenceMs);
        found.put("processor_share", processorShare);
        found.put("decode_ms", decodeMs);
        found.put("preprocess_ms", preprocessMs);
        List<Object> windows = new ArrayList<>();
        for (Window window : sustained) {
            windows.add(window.toJson());
        }
        found.put("sustained", windows);
        List<Object> rates = new ArrayList<>();
        for (Paced rate : paced) {
            rates.add(rate.toJson());
        }
        found.put("paced", rates);
        found.put("bare_rss_mib", bareRssMib);
        found.put("peak_rss_mib", peakRssMib);
        if (Json.finite(pssBeforeMib) != null && Json.finite(pssAfterMib) != null) {
            found.put("pss_before_mib", pssBeforeMib);
            found.put("pss_after_mib", pssAfterMib);
        }
        found.put("before", before.toJson());
        found.put("after", after.toJson());
        return found;
    }

    private static List<Object> rows(List<float[]> probs) {
        List<Object> rows = new ArrayList<>();
        for (float[] row : probs) {
            rows.add(row(row));
        }
        return rows;
    }

    static List<Object> row(float[] probs) {
        List<Object> numbers = new ArrayList<>(probs.length);
        for (float p : probs) {
            numbers.add((double) p);
        }
        return numbers;
    }
}
