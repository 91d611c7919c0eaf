package org.edgekd.demo;

import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import android.text.Layout;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ImageView;
import android.widget.ProgressBar;
import android.widget.TextView;

/** What has to hold of every screen: no text is cut off, every control can be read out and hit. */
final class LayoutChecks {
    private static final int SMALLEST_DP = 48;

    private LayoutChecks() {}

    static void nothingIsCut(View view) {
        if (!view.isShown()) {
            return;
        }
        if (view instanceof TextView) {
            TextView text = (TextView) view;
            Layout layout = text.getLayout();
            int room = text.getHeight() - text.getCompoundPaddingTop() - text.getCompoundPaddingBottom();
            assertTrue("cut off: " + text.getText(), layout.getHeight() <= room + 1);
            for (int line = 0; line < layout.getLineCount(); line++) {
                assertTrue("shortened: " + text.getText(), layout.getEllipsisCount(line) == 0);
                assertTrue("too wide: " + text.getText(), layout.getLineMax(line) <= layout.getWidth() + 1);
            }
        }
        for (int i = 0; view instanceof ViewGroup && i < ((ViewGroup) view).getChildCount(); i++) {
            nothingIsCut(((ViewGroup) view).getChildAt(i));
        }
    }

    /** No wheel turns: it would be drawn anew all the time. */
    static void nothingMoves(View view) {
        boolean turns = view instanceof ProgressBar && ((ProgressBar) view).isIndeterminate();
        assertFalse(view + " moves", view.isShown() && (turns || view.getAnimation() != null));
        for (int i = 0; view instanceof ViewGroup && i < ((ViewGroup) view).getChildCount(); i++) {
            nothingMoves(((ViewGroup) view).getChildAt(i));
        }
    }

    static void controlsHaveNames(View view) {
        if (!view.isShown()) {
            return;
        }
        boolean isRead = view.getImportantForAccessibility() != View.IMPORTANT_FOR_ACCESSIBILITY_NO;
        if (view.isClickable() || view instanceof ImageView && isRead) {
            CharSequence text = view instanceof TextView ? ((TextView) view).getText() : "";
            CharSequence name = view.getContentDescription() == null ? text : view.getContentDescription();
            assertFalse(view + " has no name", name == null || name.length() == 0);
        }
        if (view.isClickable()) {
            float smallest = SMALLEST_DP * view.getResources().getDisplayMetrics().density - 1;
            assertTrue(view + " is too small", view.getHeight() >= smallest && view.getWidth() >= smallest);
        }
        for (int i = 0; view instanceof ViewGroup && i < ((ViewGroup) view).getChildCount(); i++) {
            controlsHaveNames(((ViewGroup) view).getChildAt(i));
        }
    }
}
