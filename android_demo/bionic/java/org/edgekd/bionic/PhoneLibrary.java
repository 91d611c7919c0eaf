package org.edgekd.bionic;

import java.io.File;

/** Lets the app load the TensorFlow Lite of an x86-64 phone, as it is, into a desktop JVM. */
public final class PhoneLibrary {
    private static final String[] SHIM = {"libc.so", "libm.so", "libdl.so", "liblog.so"};
    private static boolean isLoaded;

    private PhoneLibrary() {}

    /** Whether this JVM was told where the libraries that stand in for Android's are (edgekd.shim). */
    public static boolean isAvailable() {
        return System.getProperty("edgekd.shim") != null;
    }

    /**
     * Loads them; to be called before the first use of TensorFlow Lite, whose libraries are then found on
     * java.library.path. Only one class loader of a JVM can have them.
     */
    public static synchronized void load() {
        if (isLoaded) {
            return;
        }
        for (String name : SHIM) {
            System.load(new File(System.getProperty("edgekd.shim"), name).getAbsolutePath());
        }
        isLoaded = true;
    }
}
