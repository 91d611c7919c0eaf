package org.edgekd.demo;

import android.os.Handler;
import android.os.Looper;

/** What is behind a screen; outlives its activity when the device turns. Fields are for the main thread. */
abstract class ScreenSession {
    final Handler main = new Handler(Looper.getMainLooper());
    private Runnable listener;

    /** What went wrong, for a person; "" for nothing. */
    String message = "";

    /** Who is told of every change, on the main thread; null for no one. */
    final void setListener(Runnable listener) {
        this.listener = listener;
    }

    /** Tells of a problem. */
    void complain(String problem) {
        message = problem;
        changed();
    }

    /** Ends it: its screen is gone for good. */
    void close() {
        listener = null;
    }

    final void changed() {
        if (listener != null) {
            listener.run();
        }
    }

    /** Changes the state on the main thread. */
    final void post(Runnable change) {
        main.post(() -> {
            change.run();
            changed();
        });
    }
}
