package org.edgekd.core;

/** Text that is not JSON, or JSON that is not what was expected; the message names the field. */
public final class BadJson extends CoreException {
    private static final long serialVersionUID = 1L;

    public BadJson(String message) {
        super(message);
    }

    public BadJson(String message, Throwable cause) {
        super(message, cause);
    }
}
