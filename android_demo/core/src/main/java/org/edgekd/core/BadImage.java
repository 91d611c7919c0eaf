package org.edgekd.core;

/** An image that cannot be decoded, or is too large. */
public final class BadImage extends CoreException {
    private static final long serialVersionUID = 1L;

    public BadImage(String message) {
        super(message);
    }

    public BadImage(String message, Throwable cause) {
        super(message, cause);
    }
}
