package org.edgekd.core;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A job, from its files to its document: the same steps and measures, in the same order, as edgekd/devices/runner.py. */
public final class BenchmarkRun {
    private static final int STAGE_RUNS = 50; // of decode and preprocess
    private static final double STAGE_SECONDS = 3;
    private static final int LONGEST_REASON = 500;
    private static final double LOOK_S = 2; // between looks at how warm it is; the headroom is told once a second at most

    private final Job job;
    private final boolean xnnpack;
    private final EngineFactory engines;
    private final Decoder decoder;
    private final DeviceFacts facts;
    private final Progress progress;
    private final Cancel cancel;
    private final Stopwatch watch;
    private final GoldenReplay replay;
    private final DeviceReport report;
    private String stage = "files";

    private BenchmarkRun(
            Job job,
            boolean xnnpack,
            EngineFactory engines,
            Decoder decoder,
            DeviceFacts facts,
            Progress progress,
            Cancel cancel) {
        this.job = job;
        this.xnnpack = xnnpack;
        this.engines = engines;
        this.decoder = decoder;
        this.facts = facts;
        this.progress = progress;
        this.cancel = cancel;
        watch = new Stopwatch(cancel);
        replay = new GoldenReplay(job, decoder);
        report = new DeviceReport(job.key, job.round, job.provenance, facts.system());
    }

    /**
     * Runs a job. To be called in a fresh process, from a thread of its own.
     *
     * @param xnnpack false for the runtime's built-in kernels
     * @param progress is told the steps: "files", "golden", "cooling", "load", "warm-up", "inference", "stages", "sustained", "camera", "answers"
     * @return what was found, or where it failed: never an exception for a bad file, model or image
     * @throws Cancelled between two inferences, when asked to stop
     */
    public static DeviceReport run(
            Job job,
            boolean xnnpack,
            EngineFactory engines,
            Decoder decoder,
            DeviceFacts facts,
            Progress progress,
            Cancel cancel)
            throws Cancelled {
        BenchmarkRun run = new BenchmarkRun(job, xnnpack, engines, decoder, facts, progress, cancel);
        try {
            run.all();
        } catch (CoreException e) {
            run.fail(e.getMessage());
        } catch (IOException | RuntimeException | OutOfMemoryError | LinkageError e) {
            run.fail(e.getClass().getSimpleName() + ": " + e.getMessage());
        }
        return run.report;
    }

    /** The answer to a job that cannot be read: a failure at the stage "files". */
    public static DeviceReport refusal(BadJob job, DeviceFacts facts) {
        DeviceReport report = new DeviceReport(job.key, job.round, job.provenance, facts.system());
        report.fail("files", shortened(job.getMessage()));
        return report;
    }

    private void fail(String reason) {
        report.fail(stage.equals("input") ? replay.stage : stage, shortened(reason));
    }

    static String shortened(String reason) {
        String text = String.valueOf(reason).trim();
        return text.length() > LONGEST_REASON ? text.substring(0, LONGEST_REASON) : text;
    }

    private void all() throws CoreException, IOException, Cancelled {
        checkFiles();
        progress.at("golden", 0, 0);
        stage = "input";
        replay.input();
        stage = "runtime";
        report.before = cool(isTimed() ? job.timing.coolS : 0);
        progress.at("load", 0, 0);
        if (!job.runtime.equals("tflite")) {
            throw new EngineException("this app runs TensorFlow Lite, not " + job.runtime);
        }
        if (job.wantsCpus) {
            report.notes.add("An app cannot choose processors: the system did.");
        }
        long begin = System.nanoTime();
        engines.prepare();
        report.importMs = Stopwatch.since(begin);
        System.gc();
        Linux.forgetPeak();
        report.bareRssMib = Linux.rssMib();
        report.pssBeforeMib = facts.pssMib();
        begin = System.nanoTime();
        try (Engine engine = engines.open(job.files.map(job.model()), job.threads, xnnpack)) {
            report.loadMs = Stopwatch.since(begin);
            use(engine);
        }
    }

    private boolean isTimed() {
        return job.timing != null && job.provenance.equals("hardware");
    }

    /** Waits until the device is cool, at most so many seconds; what it told last. */
    private Conditions cool(double most) throws Cancelled {
        long begin = System.nanoTime();
        Conditions now = facts.conditions();
        for (double at = 0; now.isWarm() && at < most; at = Stopwatch.since(begin) / 1e3) {
            progress.at("cooling", (int) at, (int) most);
            watch.pause(Math.min(LOOK_S, most - at));
            now = facts.conditions();
            report.coolingS = Stopwatch.since(begin) / 1e3;
        }
        if (most > 0 && now.isWarm()) {
            report.notes.add("It was still warm after " + Math.round(report.coolingS) + " s of waiting.");
        }
        return now;
    }

    /** Compares every file with its hash. */
    private void checkFiles() throws CoreException, IOException, Cancelled {
        int done = 0;
        for (Map.Entry<String, String> file : job.filesSha256.entrySet()) {
            progress.at("files", done++, job.filesSha256.size());
            checkCancelled();
            try (InputStream content = job.files.open(file.getKey())) {
                if (!Hash.sha256(content).equals(file.getValue())) {
                    throw new CoreException(file.getKey() + " is not the file that was sent");
                }
            }
        }
    }

    private void use(Engine engine) throws CoreException, IOException, Cancelled {
        int classes = job.labelNames.size();
        Session session = new Session(engine, job.input.size, classes, job.isInt8, job.temperature);
        ByteBuffer[] feeds = new ByteBuffer[replay.pixels.size()];
        for (int i = 0; i < feeds.length; i++) {
            feeds[i] = session.feed(replay.pixels.get(i));
        }
        long begin = System.nanoTime();
        session.infer(feeds[0]);
        report.firstMs = Stopwatch.since(begin);
        stage = "probabilities";
        List<float[]> golden = new ArrayList<>();
        for (ByteBuffer feed : feeds) {
            golden.add(session.probs(session.infer(feed)));
        }
        report.largestChange = replay.output(golden);
        report.goldenImages = golden.size();
        report.tolerance = job.golden.tolerance;
        if (isTimed()) {
            stage = "measure";
            measure(session, feeds, job.timing);
        }
        if (!job.testPixels.isEmpty()) {
            stage = "probabilities";
            TestAnswers answers = new TestAnswers(job, decoder, session, progress, cancel);
            report.probs = answers.toTensors();
            report.fromFiles = job.testFiles.images.isEmpty() ? null : answers.toFiles();
        }
        report.runtimeName = engine.name();
        report.runtimeVersion = engine.version();
        report.delegate = engine.delegate();
        report.threadsAsked = job.threads;
    }

    /** Warm-up, single runs, memory, stages, sustained run. */
    private void measure(Session session, ByteBuffer[] feeds, Timing timing) throws CoreException, Cancelled {
        Stopwatch.Action infer = input -> session.infer(feeds[input]);
        progress.at("warm-up", 0, timing.warmupRuns);
        long warming = System.nanoTime();
        report.warmupRuns = watch.warm(infer, feeds.length, timing.warmupRuns, timing.warmupS, timing.minSeconds);
        report.warmupS = Stopwatch.since(warming) / 1e3;
        progress.at("inference", 0, timing.minRuns);
        Map<String, Double> threads = Linux.threadSeconds();
        long begin = System.nanoTime();
        report.inferenceMs =
                watch.sample(infer, feeds.length, timing.minRuns, timing.minSeconds, Stopwatch.FEWEST_RUNS);
        double seconds = Stopwatch.since(begin) / 1e3;
        Map<String, Double> later = Linux.threadSeconds();
        report.processorShare = later.isEmpty() ? null : (Double) (Linux.seconds(threads, later) / seconds);
        report.threadsRan = Linux.busyThreads(threads, later);
        report.peakRssMib = larger(Linux.peakRssMib(), report.bareRssMib);
        report.pssAfterMib = facts.pssMib();
        progress.at("stages", 0, 0);
        stages(timing);
        sustain(infer, feeds.length, timing.sustainedS);
        pace(infer, feeds.length, timing);
        report.after = facts.conditions();
    }

    /** Decoding and preprocessing, each warmed up too: they are Java, which is compiled while it runs. */
    private void stages(Timing timing) throws CoreException, Cancelled {
        List<byte[]> contents = replay.contents;
        Rgb[] images = new Rgb[contents.size()];
        Stopwatch.Action decode = input -> images[input] = decoder.decode(contents.get(input));
        watch.warm(decode, images.length, timing.warmupRuns, timing.warmupS, STAGE_SECONDS);
        report.decodeMs = watch.sample(decode, images.length, STAGE_RUNS, STAGE_SECONDS, Stopwatch.FEWEST_RUNS);
        for (int i = 0; i < images.length; i++) {
            images[i] = decoder.decode(contents.get(i));
        }
        Stopwatch.Action prepare = input -> Preprocess.pixels(images[input], job.input);
        watch.warm(prepare, images.length, timing.warmupRuns, timing.warmupS, STAGE_SECONDS);
        report.preprocessMs = watch.sample(prepare, images.length, STAGE_RUNS, STAGE_SECONDS, Stopwatch.FEWEST_RUNS);
    }

    /** Windows of a run without pause: throughput, clock and temperature over time. */
    private void sustain(Stopwatch.Action infer, int inputs, double seconds) throws CoreException, Cancelled {
        double length = Math.max(1, seconds / 60);
        long begin = System.nanoTime();
        for (double at = 0; at < seconds; at = Stopwatch.since(begin) / 1e3) {
            progress.at("sustained", (int) at, (int) seconds);
            long start = System.nanoTime();
            double[] samples = watch.sample(infer, inputs, Integer.MAX_VALUE, length, 1);
            double took = Stopwatch.since(start) / 1e3;
            report.sustained.add(new DeviceReport.Window(at, took, samples, facts.conditions()));
        }
    }

    /** Single runs at the rates of a camera. */
    private void pace(Stopwatch.Action infer, int inputs, Timing timing) throws CoreException, Cancelled {
        for (double fps : timing.fps()) {
            progress.at("camera", (int) fps, 0);
            int[] dropped = {0};
            double[] runs = watch.paced(infer, inputs, fps, timing.pacedS, dropped);
            report.paced.add(new DeviceReport.Paced(fps, runs, dropped[0], facts.conditions()));
        }
    }

    /** Linux counts pages per thread and adds them up late: a peak can look smaller than what was there before. */
    private static Double larger(Double peak, Double bare) {
        return peak == null || bare == null ? peak : (Double) Math.max(peak, bare);
    }

    private void checkCancelled() throws Cancelled {
        if (cancel.isCancelled()) {
            throw new Cancelled();
        }
    }
}
