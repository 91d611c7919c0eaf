package org.edgekd.core;

import java.nio.ByteBuffer;

/** Loads models. */
public interface EngineFactory {
    /** Loads the runtime's own library, if that did not happen yet. The time is the document's import_ms. */
    void prepare() throws EngineException;

    /**
     * Loads a model.
     *
     * @param model the file's bytes, direct or mapped, of native order; stays reachable while the engine is open
     * @param threads to ask the runtime for, 1 or more
     * @param xnnpack false for the runtime's built-in kernels
     * @throws EngineException for whatever the runtime refuses, or a model whose tensors are not those of {@link Engine}
     */
    Engine open(ByteBuffer model, int threads, boolean xnnpack) throws EngineException;
}
