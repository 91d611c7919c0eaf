package org.edgekd.demo;

import android.app.Activity;
import android.view.View;
import android.widget.TextView;

/** What of a screen comes and goes. */
final class Screen {
    private final Activity activity;

    Screen(Activity activity) {
        this.activity = activity;
    }

    /** Sets a text; an empty one hides the view. A text that stays is not read out again. */
    void setText(int id, String text) {
        TextView view = activity.findViewById(id);
        if (!text.contentEquals(view.getText())) {
            view.setText(text);
        }
        view.setVisibility(text.isEmpty() ? View.GONE : View.VISIBLE);
    }

    void show(int id, boolean isShown) {
        activity.findViewById(id).setVisibility(isShown ? View.VISIBLE : View.GONE);
    }
}
