package org.edgekd.core;

/**
 * A job that cannot be run as it is written. It carries what an answer to it needs, as far as that could be read, so that
 * {@link BenchmarkRun#refusal} can answer it with a failure.
 */
public final class BadJob extends CoreException {
    private static final long serialVersionUID = 1L;

    /** Of the job; "", 0 and "hardware" where that could not be read. */
    public final String key;

    public final int round;
    public final String provenance;

    public BadJob(String message, String key, int round, String provenance) {
        super(message);
        this.key = key;
        this.round = round;
        this.provenance = provenance;
    }
}
