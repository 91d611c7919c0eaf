package org.edgekd.demo;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.util.zip.InflaterInputStream;
import org.edgekd.core.BadImage;
import org.edgekd.core.Rgb;

/**
 * PNG files of 16 bits per channel, which Android would round in a way of its own. As the network's reference: grey is
 * stretched from the image's own minimum..maximum to 0..255, of colours the upper byte is taken.
 */
final class Png16 {
    private static final int GREY = 0;
    private static final int GREY_ALPHA = 4;
    private static final int[] CHANNELS = {1, 0, 3, 0, 2, 0, 4}; // by colour type
    private static final int[][] ADAM7 = { // of each pass: first x, first y, step in x, step in y
        {0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}
    };
    private static final int[][] WHOLE = {{0, 0, 1, 1}};

    private final int width;
    private final int height;
    private final int colour;
    private final int channels;
    private final int[][] passes;
    private final InputStreamOfRows in;
    private final short[] grey; // of grey images, else empty
    private final byte[] data;

    private Png16(byte[] file) throws BadImage, IOException {
        width = ImageFile.i32(file, 16);
        height = ImageFile.i32(file, 20);
        colour = file[25];
        Pixels.check(width, height);
        channels = colour >= 0 && colour < CHANNELS.length ? CHANNELS[colour] : 0;
        if (channels == 0 || file[24] != 16) {
            throw new BadImage("The image is damaged: its header makes no sense.");
        }
        passes = file[28] == 1 ? ADAM7 : WHOLE;
        in = new InputStreamOfRows(pixelData(file), 2 * channels);
        grey = new short[colour == GREY ? width * height : 0];
        data = new byte[3 * width * height];
    }

    /** An RGB image of a file that {@link ImageFile} read. */
    static Rgb decode(byte[] file) throws BadImage {
        try {
            Png16 png = new Png16(file);
            png.readRows();
            if (png.colour == GREY) {
                png.stretch();
            }
            return new Rgb(png.width, png.height, png.data);
        } catch (IOException e) {
            throw new BadImage("The image file is damaged or ends too early.", e);
        }
    }

    /** The compressed rows: all IDAT chunks in a row. */
    private static byte[] pixelData(byte[] file) throws BadImage {
        ByteArrayOutputStream found = new ByteArrayOutputStream(file.length);
        for (int at = 8; at + 12 <= file.length; at += 12 + ImageFile.i32(file, at)) {
            if (ImageFile.starts(file, at + 4, "tRNS")) {
                throw new BadImage("PNG files of 16 bits with a transparent colour are not supported.");
            }
            if (ImageFile.starts(file, at + 4, "IDAT")) {
                found.write(file, at + 8, ImageFile.i32(file, at));
            }
        }
        return found.toByteArray();
    }

    private void readRows() throws IOException {
        for (int[] pass : passes) {
            int columns = (width - pass[0] + pass[2] - 1) / pass[2];
            int rows = columns <= 0 ? 0 : (height - pass[1] + pass[3] - 1) / pass[3];
            in.start(Math.max(columns, 0));
            for (int i = 0; i < rows; i++) {
                byte[] row = in.next();
                int first = (pass[1] + i * pass[3]) * width + pass[0];
                for (int x = 0; x < columns; x++) {
                    put(row, 2 * channels * x, first + x * pass[2]);
                }
            }
        }
    }

    private void put(byte[] row, int from, int pixel) {
        if (colour == GREY) {
            grey[pixel] = (short) ImageFile.u16(row, from);
            return;
        }
        boolean isGrey = colour == GREY_ALPHA;
        boolean hasAlpha = colour >= GREY_ALPHA;
        int alpha = hasAlpha ? row[from + 2 * (channels - 1)] & 255 : 255;
        for (int c = 0; c < 3; c++) {
            data[3 * pixel + c] = (byte) Pixels.overBlack(row[isGrey ? from : from + 2 * c] & 255, alpha);
        }
    }

    private void stretch() {
        int low = 0xFFFF;
        int high = 0;
        for (short value : grey) {
            low = Math.min(low, value & 0xFFFF);
            high = Math.max(high, value & 0xFFFF);
        }
        for (int i = 0; i < grey.length && high > low; i++) {
            byte value = (byte) (int) (((grey[i] & 0xFFFF) - low) * 255.0 / (high - low) + 0.5);
            data[3 * i] = value;
            data[3 * i + 1] = value;
            data[3 * i + 2] = value;
        }
    }

    /** Rows as they were before PNG's filters. */
    private static final class InputStreamOfRows {
        private final DataInputStream in;
        private final int step; // bytes from a pixel to the next
        private byte[] above;
        private byte[] row;

        InputStreamOfRows(byte[] compressed, int step) {
            in = new DataInputStream(new InflaterInputStream(new ByteArrayInputStream(compressed)));
            this.step = step;
        }

        void start(int columns) {
            above = new byte[step * columns];
            row = new byte[step * columns];
        }

        byte[] next() throws IOException {
            byte[] last = above;
            above = row;
            row = last;
            int filter = in.read();
            if (filter < 0) {
                throw new EOFException();
            }
            in.readFully(row);
            for (int i = 0; i < row.length; i++) {
                int left = i < step ? 0 : row[i - step] & 255;
                int up = above[i] & 255;
                int corner = i < step ? 0 : above[i - step] & 255;
                row[i] += (byte) predicted(filter, left, up, corner);
            }
            return row;
        }

        private static int predicted(int filter, int left, int up, int corner) throws IOException {
            switch (filter) {
                case 0:
                    return 0;
                case 1:
                    return left;
                case 2:
                    return up;
                case 3:
                    return (left + up) / 2;
                case 4:
                    return paeth(left, up, corner);
                default:
                    throw new IOException("filter " + filter);
            }
        }

        private static int paeth(int left, int up, int corner) {
            int guess = left + up - corner;
            int toLeft = Math.abs(guess - left);
            int toUp = Math.abs(guess - up);
            int toCorner = Math.abs(guess - corner);
            if (toLeft <= toUp && toLeft <= toCorner) {
                return left;
            }
            return toUp <= toCorner ? up : corner;
        }
    }
}
