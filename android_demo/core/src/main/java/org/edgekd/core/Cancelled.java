package org.edgekd.core;

/** The person, or the system, wanted it to stop. */
public final class Cancelled extends Exception {
    private static final long serialVersionUID = 1L;
}
