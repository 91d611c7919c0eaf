package org.edgekd.core;

/** What a device tells about itself. {@link Linux} helps with what stands in /proc and /sys. */
public interface DeviceFacts {
    SystemFacts system();

    /** Now. */
    Conditions conditions();

    /** Proportional set size of this process in MiB now; null where that cannot be told. */
    Double pssMib();
}
