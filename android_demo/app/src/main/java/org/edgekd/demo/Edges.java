package org.edgekd.demo;

import android.annotation.TargetApi;
import android.graphics.Insets;
import android.os.Build;
import android.view.View;
import android.view.WindowInsets;

/**
 * Keeps a screen clear of the system's bars and of the camera's cutout, below which windows lie since Android 15. Before,
 * a window keeps clear of them by itself, and hands down nothing.
 */
@TargetApi(Build.VERSION_CODES.R)
final class Edges implements View.OnApplyWindowInsetsListener {
    private final View last;
    private final int bottom; // padding of `last` without bars

    private Edges(View last) {
        this.last = last;
        this.bottom = last.getPaddingBottom();
    }

    /**
     * Fits a screen whenever the bars change.
     *
     * @param root padded on top and at the sides
     * @param last its lowest view, padded at the bottom, so that its colour goes on to the edge
     */
    static void fit(View root, View last) {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            root.setOnApplyWindowInsetsListener(new Edges(last));
        }
    }

    @Override
    public WindowInsets onApplyWindowInsets(View root, WindowInsets insets) {
        Insets taken = insets.getInsets(WindowInsets.Type.systemBars() | WindowInsets.Type.displayCutout());
        root.setPadding(taken.left, taken.top, taken.right, 0);
        last.setPadding(last.getPaddingLeft(), last.getPaddingTop(), last.getPaddingRight(), bottom + taken.bottom);
        return WindowInsets.CONSUMED;
    }
}
