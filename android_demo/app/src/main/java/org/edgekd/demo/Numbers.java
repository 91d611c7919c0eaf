package org.edgekd.demo;

import java.text.NumberFormat;
import java.util.Locale;

/** Numbers for the screen, in the language of the device. */
final class Numbers {
    private Numbers() {}

    /** A share as percent: one decimal, but never 100 % for less, nor 0 % for more than nothing. */
    static String percent(double share) {
        NumberFormat format = NumberFormat.getPercentInstance();
        format.setMinimumFractionDigits(1);
        format.setMaximumFractionDigits(1);
        double shown = share;
        if (share < 1 && share > 0.999) {
            shown = 0.999;
        } else if (share > 0 && share < 0.001) {
            return "< " + format.format(0.001);
        }
        return (share < 1 && share > 0.999 ? "> " : "") + format.format(shown);
    }

    /** A difference of shares in percentage points. */
    static String points(double difference) {
        NumberFormat format = NumberFormat.getNumberInstance();
        format.setMinimumFractionDigits(1);
        format.setMaximumFractionDigits(1);
        return format.format(100 * difference);
    }

    /** With about three digits. */
    static String number(double value) {
        NumberFormat format = NumberFormat.getNumberInstance();
        int decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2;
        format.setMinimumFractionDigits(decimals);
        format.setMaximumFractionDigits(decimals);
        return format.format(value);
    }

    /** As 1.2e-07: for changes of probabilities. */
    static String small(double value) {
        return value == 0 ? "0" : String.format(Locale.ROOT, "%.1e", value);
    }
}
