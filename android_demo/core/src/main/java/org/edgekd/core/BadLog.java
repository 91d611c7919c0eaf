package org.edgekd.core;

/** A row of the field log that cannot be read, or an answer that cannot be written to it. */
public final class BadLog extends CoreException {
    private static final long serialVersionUID = 1L;

    public BadLog(String message) {
        super(message);
    }

    public BadLog(String message, Throwable cause) {
        super(message, cause);
    }
}
