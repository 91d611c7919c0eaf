package org.edgekd.core;

/** A job, from its files to its document: the same steps and measures, in the same order, as edgekd/devices/runner.py. */
public final class BenchmarkRun {
    private BenchmarkRun() {}

    /**
     * Runs a job. To be called in a fresh process, from a thread of its own.
     *
     * @param xnnpack false for the runtime's built-in kernels
     * @param progress is told the steps: "files", "golden", "load", "warm-up", "inference", "stages", "sustained", "answers"
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
        throw new UnsupportedOperationException("to come");
    }

    /** The answer to a job that cannot be read: a failure at the stage "files". */
    public static DeviceReport refusal(BadJob job, DeviceFacts facts) {
        throw new UnsupportedOperationException("to come");
    }
}
