package org.edgekd.demo;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import org.edgekd.core.BadImage;

/**
 * An image file without what would change its pixels: colour profiles and gammas (Android converts colours by them, the
 * network's reference does not) and the orientation, which is read instead. Nothing of Android is used here.
 */
final class ImageFile {
    enum Format { JPEG, PNG, GIF, WEBP, BMP, HEIF }

    /** The length of "RIFF", the size, "WEBP". */
    private static final int RIFF = 12;

    final Format format;

    /** The file to decode. */
    final byte[] content;

    /** As EXIF has it, 1 (upright) to 8. */
    final int orientation;

    /** Bits per channel of a PNG; 8 for others. */
    final int bits;

    private ImageFile(Format format, byte[] content, int orientation, int bits) {
        this.format = format;
        this.content = content;
        this.orientation = orientation;
        this.bits = bits;
    }

    /**
     * Reads the structure of a file.
     *
     * @throws BadImage for other formats, and for files that end too early or are damaged so far as their structure
     *     tells
     */
    static ImageFile read(byte[] file) throws BadImage {
        if (file.length == 0) {
            throw new BadImage("The file is empty.");
        }
        if (starts(file, 0, "\u00FF\u00D8\u00FF")) {
            return jpeg(file);
        }
        if (starts(file, 0, "\u0089PNG\r\n\u001A\n")) {
            return png(file);
        }
        if (starts(file, 0, "RIFF") && starts(file, 8, "WEBP")) {
            return webp(file);
        }
        if (starts(file, 0, "GIF87a") || starts(file, 0, "GIF89a")) {
            return new ImageFile(Format.GIF, file, 1, 8);
        }
        if (starts(file, 0, "BM")) {
            return new ImageFile(Format.BMP, file, 1, 8);
        }
        if (starts(file, 4, "ftyp")) {
            return new ImageFile(Format.HEIF, file, 1, 8); // its container turns the image
        }
        throw new BadImage("This is not an image that the app can read (JPEG, PNG, WebP, GIF, BMP, HEIF).");
    }

    /** Segments up to the first scan; EXIF, XMP and colour profiles are left out. */
    private static ImageFile jpeg(byte[] file) throws BadImage {
        ByteArrayOutputStream kept = new ByteArrayOutputStream(file.length);
        kept.write(file, 0, 2);
        int exif = 0;
        int xmp = 0;
        int at = 2;
        while (true) {
            while (at + 1 < file.length && file[at] == -1 && file[at + 1] == -1) {
                at++; // fill bytes
            }
            if (at + 4 > file.length || file[at] != -1) {
                throw incomplete();
            }
            int marker = file[at + 1] & 255;
            int end = at + 2 + u16(file, at + 2);
            int body = at + 4;
            if (end > file.length || end < body) {
                throw incomplete();
            }
            if (marker == 0xDA) {
                break;
            }
            boolean isExif = marker == 0xE1 && starts(file, body, "Exif\0\0");
            boolean isXmp = marker == 0xE1 && starts(file, body, "http://ns.adobe.com/xap/1.0/\0");
            if (isExif && exif == 0) {
                exif = Orientation.ofExif(file, body + 6, end);
            } else if (isXmp && xmp == 0) {
                xmp = Orientation.ofXmp(file, body, end);
            }
            if (!isExif && !isXmp && !(marker == 0xE2 && starts(file, body, "ICC_PROFILE\0"))) {
                kept.write(file, at, end - at);
            }
            at = end;
        }
        if (!hasEnd(file, at)) {
            throw incomplete();
        }
        kept.write(file, at, file.length - at);
        return new ImageFile(Format.JPEG, kept.toByteArray(), upright(exif, xmp), 8);
    }

    /** Whether a JPEG's end marker follows somewhere; in scans a byte FF is followed by 0. */
    private static boolean hasEnd(byte[] file, int from) {
        for (int i = from; i + 1 < file.length; i++) {
            if (file[i] == -1 && (file[i + 1] & 255) == 0xD9) {
                return true;
            }
        }
        return false;
    }

    /** Chunks with their check sums; animations are reduced to the image that other readers see. */
    private static ImageFile png(byte[] file) throws BadImage {
        ByteArrayOutputStream kept = new ByteArrayOutputStream(file.length);
        kept.write(file, 0, 8);
        int exif = 0;
        int xmp = 0;
        int bits = 8;
        String type = "";
        for (int at = 8; !type.equals("IEND"); ) {
            long size = at + 12 <= file.length ? i32(file, at) & 0xFFFFFFFFL : Integer.MAX_VALUE;
            if (at + 12 + size > file.length) {
                throw incomplete();
            }
            int body = at + 8;
            int end = body + (int) size;
            CRC32 sum = new CRC32();
            sum.update(file, at + 4, end - at - 4);
            if ((int) sum.getValue() != i32(file, end)) {
                throw new BadImage("The image is damaged: a check sum does not fit.");
            }
            type = new String(file, at + 4, 4, StandardCharsets.ISO_8859_1);
            if (type.equals("IHDR") && size >= 13) {
                bits = file[body + 8];
            } else if (type.equals("eXIf")) {
                exif = Orientation.ofExif(file, body, end);
            } else if (type.equals("iTXt") && starts(file, body, "XML:com.adobe.xmp\0")) {
                xmp = Orientation.ofXmp(file, body, end);
            }
            if (isOfPixels(type)) {
                kept.write(file, at, end + 4 - at);
            }
            at = end + 4;
        }
        return new ImageFile(Format.PNG, kept.toByteArray(), upright(exif, xmp), bits);
    }

    private static boolean isOfPixels(String chunk) {
        switch (chunk) {
            case "IHDR":
            case "PLTE":
            case "tRNS":
            case "IDAT":
            case "IEND":
                return true;
            default:
                return false;
        }
    }

    /** Chunks of a RIFF file; colour profile, EXIF and XMP are left out. */
    private static ImageFile webp(byte[] file) throws BadImage {
        long size = (u32le(file, 4) & 0xFFFFFFFFL) + 8;
        if (size > file.length || size < RIFF) {
            throw incomplete();
        }
        ByteArrayOutputStream kept = new ByteArrayOutputStream(file.length);
        kept.write(file, 0, RIFF);
        int exif = 0;
        int xmp = 0;
        int flags = -1;
        for (int at = RIFF; at + 8 <= size; ) {
            long length = u32le(file, at + 4) & 0xFFFFFFFFL;
            long end = at + 8 + length + (length & 1);
            if (at + 8 + length > size) {
                throw incomplete();
            }
            end = Math.min(end, size);
            int body = at + 8;
            String type = new String(file, at, 4, StandardCharsets.ISO_8859_1);
            if (type.equals("EXIF")) {
                int skip = starts(file, body, "Exif\0\0") ? 6 : 0;
                exif = Orientation.ofExif(file, body + skip, (int) end);
            } else if (type.equals("XMP ")) {
                xmp = Orientation.ofXmp(file, body, (int) end);
            } else if (!type.equals("ICCP")) {
                if (type.equals("VP8X")) {
                    flags = kept.size() + 8;
                }
                kept.write(file, at, (int) end - at);
            }
            at = (int) end;
        }
        byte[] content = kept.toByteArray();
        for (int i = 0; i < 4; i++) {
            content[4 + i] = (byte) (content.length - 8 >> 8 * i);
        }
        if (flags > 0 && flags < content.length) {
            content[flags] &= (byte) ~0x2C; // ICC profile, EXIF, XMP
        }
        return new ImageFile(Format.WEBP, content, upright(exif, xmp), 8);
    }

    /** EXIF's orientation, or XMP's where EXIF has none. */
    private static int upright(int exif, int xmp) {
        return exif != 0 ? exif : xmp != 0 ? xmp : 1;
    }

    private static BadImage incomplete() {
        return new BadImage("The image file is damaged or ends too early.");
    }

    static boolean starts(byte[] file, int at, String latin1) {
        if (at + latin1.length() > file.length) {
            return false;
        }
        for (int i = 0; i < latin1.length(); i++) {
            if ((file[at + i] & 255) != latin1.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    static int u16(byte[] b, int at) {
        return (b[at] & 255) << 8 | b[at + 1] & 255;
    }

    static int i32(byte[] b, int at) {
        return u16(b, at) << 16 | u16(b, at + 2);
    }

    private static int u32le(byte[] b, int at) {
        return Integer.reverseBytes(i32(b, at));
    }
}
