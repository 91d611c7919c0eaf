package org.edgekd.core;

/** Whether long work shall stop; asked from the thread that works, between two inferences. */
public interface Cancel {
    /** Never stops. */
    Cancel NEVER = new Cancel() {
        @Override
        public boolean isCancelled() {
            return false;
        }
    };

    boolean isCancelled();
}
