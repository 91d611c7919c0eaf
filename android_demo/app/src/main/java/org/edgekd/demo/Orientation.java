package org.edgekd.demo;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Which way up an image is, by its EXIF or XMP, with Pillow's numbers; and where its pixels go to make it upright. */
final class Orientation {
    private static final int TAG = 0x0112;
    private static final Pattern XMP = Pattern.compile("tiff:Orientation(?:=\"|>)([0-9])");

    private Orientation() {}

    /** 1 to 8, or 0 where the TIFF structure in [from, to) has none or cannot be read. */
    static int ofExif(byte[] file, int from, int to) {
        if (from + 8 > to) {
            return 0;
        }
        ByteBuffer tiff = ByteBuffer.wrap(file, from, to - from).slice();
        tiff.order(tiff.get(0) == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
        try {
            int directory = tiff.getInt(4);
            int entries = tiff.getShort(directory) & 0xFFFF;
            for (int i = 0; i < entries; i++) {
                int entry = directory + 2 + 12 * i;
                if ((tiff.getShort(entry) & 0xFFFF) == TAG) {
                    boolean isLong = tiff.getShort(entry + 2) == 4;
                    return known(isLong ? tiff.getInt(entry + 8) : tiff.getShort(entry + 8));
                }
            }
        } catch (IndexOutOfBoundsException e) {
            return 0; // broken metadata turns nothing
        }
        return 0;
    }

    /** The same of XMP. */
    static int ofXmp(byte[] file, int from, int to) {
        Matcher found = XMP.matcher(new String(file, from, to - from, StandardCharsets.ISO_8859_1));
        return found.find() ? known(found.group(1).charAt(0) - '0') : 0;
    }

    private static int known(int value) {
        return value >= 1 && value <= 8 ? value : 1; // what no one knows turns nothing
    }

    /** Whether width and height change places. */
    static boolean isSideways(int orientation) {
        return orientation >= 5;
    }

    /**
     * Where pixels go, as {first, dx, dy}: pixel (x, y) of the w x h file is number first + x dx + y dy of the upright
     * image, row by row.
     */
    static int[] steps(int orientation, int w, int h) {
        int last = w * h - 1;
        switch (orientation) {
            case 2:
                return new int[] {w - 1, -1, w};
            case 3:
                return new int[] {last, -1, -w};
            case 4:
                return new int[] {last - w + 1, 1, -w};
            case 5:
                return new int[] {0, h, 1};
            case 6:
                return new int[] {h - 1, h, -1};
            case 7:
                return new int[] {last, -h, -1};
            case 8:
                return new int[] {last - h + 1, -h, 1};
            default:
                return new int[] {0, 1, w};
        }
    }
}
