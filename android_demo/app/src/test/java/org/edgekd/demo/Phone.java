package org.edgekd.demo;

import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.Activity;
import android.content.Context;
import android.net.Uri;
import android.os.Looper;
import android.view.View;
import android.widget.TextView;
import java.io.ByteArrayInputStream;
import java.util.concurrent.Callable;
import org.edgekd.bionic.PhoneLibrary;
import org.junit.Assume;
import org.robolectric.RuntimeEnvironment;

/** What tests do with the activities; background work runs for real and is waited for. */
final class Phone {
    private static final long LONGEST_MS = 240_000;

    private Phone() {}

    /** Lets the phone's own TensorFlow Lite load into this JVM; skips the test where it cannot. */
    static void needsTflite() {
        Assume.assumeTrue("the phone's library needs Linux on x86-64 and gcc", PhoneLibrary.isAvailable());
        PhoneLibrary.load();
    }

    static Context context() {
        return RuntimeEnvironment.getApplication();
    }

    /** Runs the main thread's messages until something is so. */
    static void await(String what, Callable<Boolean> isSo) throws Exception {
        long end = System.currentTimeMillis() + LONGEST_MS;
        while (!isSo.call()) {
            assertTrue("waited in vain for " + what, System.currentTimeMillis() < end);
            Thread.sleep(5);
            shadowOf(Looper.getMainLooper()).idle();
        }
        shadowOf(Looper.getMainLooper()).idle();
    }

    static String text(Activity activity, int id) {
        return ((TextView) activity.findViewById(id)).getText().toString();
    }

    static boolean isShown(Activity activity, int id) {
        return activity.findViewById(id).getVisibility() == View.VISIBLE;
    }

    /** A document of another app. */
    static Uri document(String name) throws Exception {
        return document(name, Resources.image(name));
    }

    static Uri document(String name, byte[] content) {
        Uri uri = Uri.parse("content://org.example.files/" + name);
        shadowOf(context().getContentResolver())
                .registerInputStreamSupplier(uri, () -> new ByteArrayInputStream(content));
        return uri;
    }
}
