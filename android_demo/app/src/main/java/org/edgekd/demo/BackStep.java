package org.edgekd.demo;

import android.annotation.TargetApi;
import android.app.Activity;
import android.os.Build;
import android.window.OnBackInvokedCallback;
import android.window.OnBackInvokedDispatcher;

/**
 * What going back does before it leaves a screen, while there is something to do. Android 13 and later want to know that
 * beforehand, as they show where the gesture leads; earlier ones ask by {@link Activity#onBackPressed}.
 */
final class BackStep {
    private final Activity activity;
    private final Runnable step;
    private Object callback; // an OnBackInvokedCallback, which is a class of Android 13; null while there is nothing to do

    BackStep(Activity activity, Runnable step) {
        this.activity = activity;
        this.step = step;
    }

    /** Says whether there is something to do. */
    void enable(boolean isOn) {
        if (isOn == (callback != null)) {
            return;
        }
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) {
            register(isOn);
        } else {
            callback = isOn ? step : null;
        }
    }

    /** Does it, for {@link Activity#onBackPressed}; false if there is nothing to do. */
    boolean take() {
        if (callback == null) {
            return false;
        }
        step.run();
        return true;
    }

    @TargetApi(Build.VERSION_CODES.TIRAMISU)
    private void register(boolean isOn) {
        OnBackInvokedDispatcher dispatcher = activity.getOnBackInvokedDispatcher();
        if (isOn) {
            OnBackInvokedCallback found = step::run;
            dispatcher.registerOnBackInvokedCallback(OnBackInvokedDispatcher.PRIORITY_DEFAULT, found);
            callback = found;
        } else {
            dispatcher.unregisterOnBackInvokedCallback((OnBackInvokedCallback) callback);
            callback = null;
        }
    }
}
