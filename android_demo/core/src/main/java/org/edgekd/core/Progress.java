package org.edgekd.core;

/** How far long work is; called from the thread that works. */
public interface Progress {
    /** Tells no one. */
    Progress NONE = new Progress() {
        @Override
        public void at(String step, int done, int of) {}
    };

    /**
     * Called at the start of a step and while it goes on.
     *
     * @param step what is being done, a key for a text: a step of {@link BenchmarkRun}, or "occlusion"
     * @param done parts that are finished
     * @param of parts in all, 0 where that is not known
     */
    void at(String step, int done, int of);
}
