package org.edgekd.core;

/** A problem with something that came from outside; the message is one line for a person. */
public class CoreException extends Exception {
    private static final long serialVersionUID = 1L;

    public CoreException(String message) {
        super(message);
    }

    public CoreException(String message, Throwable cause) {
        super(message, cause);
    }
}
