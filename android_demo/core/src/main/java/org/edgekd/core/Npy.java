package org.edgekd.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A NumPy file (.npy, versions 1 to 3) of uint8 in C order, read row by row: shape [N, ...]. */
public final class Npy {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final int MAX_HEADER = 10_000;
    private static final Pattern SHAPE = Pattern.compile("'shape':\\s*\\(([0-9, ]*)\\)");

    /** Rows of the first axis. */
    public final int rows;

    /** Bytes of one row: the product of the other axes. */
    public final int rowBytes;

    private final ByteBuffer data;

    private Npy(int rows, int rowBytes, ByteBuffer data) {
        this.rows = rows;
        this.rowBytes = rowBytes;
        this.data = data;
    }

    /** Reads the header; the data stay in `file`. */
    public static Npy of(ByteBuffer file) throws IOException {
        ByteBuffer rest = file.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        String header = header(rest);
        Matcher shape = SHAPE.matcher(header);
        boolean isPlain = header.contains("'descr': '|u1'") && header.contains("'fortran_order': False");
        if (!isPlain || !shape.find()) {
            throw bad("expected uint8 in C order, found " + header);
        }
        long[] sizes = sizes(shape.group(1));
        long row = 1;
        for (int axis = 1; axis < sizes.length; axis++) {
            row = Math.min(row * sizes[axis], Integer.MAX_VALUE);
        }
        if (sizes.length < 2 || row * sizes[0] != rest.remaining()) {
            throw bad("expected " + rest.remaining() + " bytes of data, found the shape (" + shape.group(1) + ")");
        }
        return new Npy((int) sizes[0], (int) row, rest.slice());
    }

    /** The bytes of a row. */
    public byte[] row(int index) {
        byte[] found = new byte[rowBytes];
        ByteBuffer from = data.duplicate();
        from.position(index * rowBytes); // within 2 GiB, as the whole file is
        from.get(found);
        return found;
    }

    private static String header(ByteBuffer file) throws IOException {
        if (file.remaining() < 12) {
            throw bad("it is too short");
        }
        for (byte expected : MAGIC) {
            if (file.get() != expected) {
                throw bad("it does not start as one");
            }
        }
        int major = file.get();
        file.get();
        int length = major == 1 ? file.getShort() & 0xFFFF : file.getInt();
        if (major < 1 || major > 3 || length < 0 || length > Math.min(MAX_HEADER, file.remaining())) {
            throw bad("its header is damaged");
        }
        byte[] text = new byte[length];
        file.get(text);
        return new String(text, StandardCharsets.ISO_8859_1);
    }

    private static long[] sizes(String text) throws IOException {
        String[] parts = text.trim().isEmpty() ? new String[0] : text.split(",");
        int count = parts.length > 0 && parts[parts.length - 1].trim().isEmpty() ? parts.length - 1 : parts.length;
        long[] sizes = new long[count];
        for (int i = 0; i < count; i++) {
            try {
                sizes[i] = Integer.parseInt(parts[i].trim());
            } catch (NumberFormatException e) {
                throw bad("its shape is (" + text + ")");
            }
        }
        return sizes;
    }

    private static IOException bad(String why) {
        return new IOException("no NumPy file that can be used: " + why);
    }
}
