package org.edgekd.demo;

import java.util.Locale;
import org.edgekd.core.BadImage;
import org.edgekd.core.Rgb;

/** What decoders of this app share: limits, and transparency over black as Pillow computes it. */
final class Pixels {
    private static final long SPARE = 24 << 20; // bytes for everything else

    private Pixels() {}

    /**
     * Refuses what is too large for the network's reference, or for the memory that this app may use: 3 bytes per pixel.
     * Nothing is ever decoded smaller than it is, as that would be another image to the network.
     */
    static void check(int width, int height) throws BadImage {
        if (width < 1 || height < 1) {
            throw new BadImage("The image is damaged: its header makes no sense.");
        }
        long pixels = (long) width * height;
        if (pixels > Rgb.MAX_PIXELS) {
            throw tooLarge(width, height, Rgb.MAX_PIXELS);
        }
        if (3 * pixels > free()) {
            System.gc(); // what earlier images left behind counts as used until then
        }
        long free = free();
        if (3 * pixels > free) {
            throw tooLarge(width, height, Math.max(0, free / 3));
        }
    }

    private static long free() {
        Runtime memory = Runtime.getRuntime();
        return memory.maxMemory() - (memory.totalMemory() - memory.freeMemory()) - SPARE;
    }

    private static BadImage tooLarge(int width, int height, long most) {
        return new BadImage(String.format(Locale.ROOT,
                "The image is too large: %d x %d px are %.1f million; at most %.1f million fit here.",
                width, height, width * 1e-6 * height, most * 1e-6));
    }

    /** A channel of a colour with alpha, both 0..255, over black: Pillow's alpha_composite in its fixed-point numbers. */
    static int overBlack(int value, int alpha) {
        int scaled = value * alpha * 128 + 128 * 128;
        return ((scaled >> 8) + scaled >> 8) >> 7;
    }
}
