package org.edgekd.core;

/** The runtime refused a model or failed in an inference. */
public final class EngineException extends CoreException {
    private static final long serialVersionUID = 1L;

    public EngineException(String message) {
        super(message);
    }

    public EngineException(String message, Throwable cause) {
        super(message, cause);
    }
}
