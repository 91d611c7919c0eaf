package org.edgekd.demo;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.edgekd.core.BadImage;
import org.edgekd.core.Rgb;

/** What decoders of this app share: limits, and transparency over black as Pillow computes it. */
final class Pixels {
    private static final long SPARE = 24 << 20; // bytes for everything else
    private static final Pattern AVAILABLE = Pattern.compile("MemAvailable:\\s*([0-9]{1,12}) kB");

    private Pixels() {}

    /**
     * Refuses what is too large for the network's reference, for the memory that this app may use (3 bytes per pixel),
     * or for that of the device (4 more, outside of Java's heap): there the system would end the app without a word.
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
        long most = Math.min(free() / 3, available() / 7);
        if (pixels > most) {
            throw tooLarge(width, height, Math.max(0, most));
        }
    }

    /** Bytes that the device has left; the largest number where it does not tell. */
    private static long available() {
        try (InputStream file = new FileInputStream("/proc/meminfo")) {
            String text = new String(Bytes.read(file, 1 << 20, () -> false), StandardCharsets.US_ASCII);
            Matcher found = AVAILABLE.matcher(text);
            return found.find() ? Long.parseLong(found.group(1)) << 10 : Long.MAX_VALUE;
        } catch (IOException e) {
            return Long.MAX_VALUE;
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

    /**
     * A channel of a colour with alpha, both 0..255, over black: Pillow's alpha_composite in its fixed-point numbers.
     */
    static int overBlack(int value, int alpha) {
        int scaled = value * alpha * 128 + 128 * 128;
        return ((scaled >> 8) + scaled >> 8) >> 7;
    }
}
