package org.edgekd.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.junit.Test;

/** NumPy files. */
public final class NpyTest {
    /** A file of version `major` with a header and as many bytes 0, 1, 2, … of data. */
    static byte[] file(int major, String header, int bytes) {
        byte[] text = header.getBytes(StandardCharsets.ISO_8859_1);
        int size = (major == 1 ? 10 : 12) + text.length + bytes;
        ByteBuffer file = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        file.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.ISO_8859_1)).put((byte) major).put((byte) 0);
        if (major == 1) {
            file.putShort((short) text.length);
        } else {
            file.putInt(text.length);
        }
        file.put(text);
        for (int i = 0; i < bytes; i++) {
            file.put((byte) i);
        }
        return file.array();
    }

    static String header(String shape) {
        return "{'descr': '|u1', 'fortran_order': False, 'shape': (" + shape + "), }          \n";
    }

    private static void refused(byte[] file, String why) {
        String found = assertThrows(IOException.class, () -> Npy.of(ByteBuffer.wrap(file))).getMessage();
        assertTrue(found, found.contains(why));
    }

    @Test
    public void rowsAreThoseOfTheFirstAxis() throws IOException {
        for (int major = 1; major <= 3; major++) {
            Npy found = Npy.of(ByteBuffer.wrap(file(major, header("3, 2, 2"), 12)));
            assertEquals(3, found.rows);
            assertEquals(4, found.rowBytes);
            assertArrayEquals(new byte[] {8, 9, 10, 11}, found.row(2));
            assertArrayEquals(new byte[] {0, 1, 2, 3}, found.row(0));
        }
    }

    @Test
    public void noRowsAreRows() throws IOException {
        assertEquals(0, Npy.of(ByteBuffer.wrap(file(1, header("0, 4"), 0))).rows);
    }

    @Test
    public void whatIsNoSuchFileIsRefused() {
        refused(new byte[0], "too short");
        refused(new byte[100], "does not start as one");
        refused(file(9, header("3, 4"), 12), "header is damaged");
        refused(file(1, header("3, 4"), 11), "bytes of data");
        refused(file(1, header("3, 4"), 13), "bytes of data");
        refused(file(1, header("12,"), 12), "bytes of data");
        refused(file(1, header(""), 1), "bytes of data");
        refused(file(1, header("3, 4").replace("|u1", "<f4"), 48), "expected uint8");
        refused(file(1, header("3, 4").replace("|u1", "|O"), 12), "expected uint8");
        refused(file(1, header("3, 4").replace("False", "True"), 12), "expected uint8");
        refused(file(1, header("99999999999, 4"), 12), "its shape is");
        refused(file(1, header("2147483647, 2147483647, 2147483647, 2147483647"), 12), "bytes of data");
        byte[] long1 = file(2, header("3, 4"), 12);
        long1[11] = (byte) 0x80; // a header of 2 GiB
        refused(long1, "header is damaged");
    }
}
