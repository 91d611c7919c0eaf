package org.edgekd.core;

/** A model file or its description that cannot be used, or do not belong together. */
public final class BadModel extends CoreException {
    private static final long serialVersionUID = 1L;

    public BadModel(String message) {
        super(message);
    }

    public BadModel(String message, Throwable cause) {
        super(message, cause);
    }
}
