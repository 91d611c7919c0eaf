package org.edgekd.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import java.util.Random;
import org.junit.Test;

/** Resize and preprocessing; that they are Pillow's to the bit is tests/android/test_core.py's to show. */
public final class ResizeTest {
    private static Rgb noise(int width, int height) {
        byte[] data = new byte[3 * width * height];
        new Random(7).nextBytes(data);
        return new Rgb(width, height, data);
    }

    private static int[] firstChannel(Rgb image) {
        int[] found = new int[image.width * image.height];
        for (int i = 0; i < found.length; i++) {
            found[i] = image.data[3 * i] & 255;
        }
        return found;
    }

    private static Rgb row(int... greys) {
        byte[] data = new byte[3 * greys.length];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) greys[i / 3];
        }
        return new Rgb(greys.length, 1, data);
    }

    @Test
    public void numbersOfPillow() {
        Rgb row = row(0, 255, 0, 0, 255, 90, 7, 200);
        assertArrayEquals(new int[] {109, 64, 130, 102}, firstChannel(Resize.resize(row, 4, 1, Kernel.BILINEAR)));
        assertArrayEquals(new int[] {115, 54, 139, 97}, firstChannel(Resize.resize(row, 4, 1, Kernel.BICUBIC)));
        int[] linear = {0, 108, 245, 88, 0, 0, 128, 236, 134, 61, 10, 118, 200};
        assertArrayEquals(linear, firstChannel(Resize.resize(row, 13, 1, Kernel.BILINEAR)));
        int[] cubic = {0, 109, 254, 89, 0, 0, 138, 254, 140, 44, 5, 123, 214};
        assertArrayEquals(cubic, firstChannel(Resize.resize(row, 13, 1, Kernel.BICUBIC)));
    }

    @Test
    public void theSameSizeIsTheSameImage() {
        Rgb image = noise(9, 5);
        for (Kernel kernel : Kernel.values()) {
            assertArrayEquals(image.data, Resize.resize(image, 9, 5, kernel).data);
        }
    }

    @Test
    public void onePixelFillsAnything() {
        Rgb found = Resize.resize(row(77), 5, 4, Kernel.BICUBIC);
        for (int value : firstChannel(found)) {
            assertEquals(77, value);
        }
    }

    @Test
    public void aWindowIsAPartOfTheWhole() {
        int[][] shapes = {{30, 20, 12, 9}, {8, 90, 12, 15}, {7, 5, 20, 31}};
        for (int[] s : shapes) {
            for (Kernel kernel : Kernel.values()) {
                Rgb image = noise(s[0], s[1]);
                Rgb whole = Resize.resize(image, s[2], s[3], kernel);
                Rgb part = Resize.window(image, s[2], s[3], kernel, 3, 2, 7, 6);
                for (int y = 0; y < 6; y++) {
                    for (int i = 0; i < 21; i++) {
                        assertEquals(whole.data[3 * (s[2] * (y + 2) + 3) + i], part.data[21 * y + i]);
                    }
                }
            }
        }
    }

    @Test
    public void whatANetworkSeesOfAnImage() throws BadImage {
        double[] half = {0.5, 0.5, 0.5};
        InputContract crop = new InputContract(32, true, 0.8, Kernel.BILINEAR, half, half);
        // 80 x 120 -> 40 x 60, cut 4 from the left and 14 from the top
        assertArrayEquals(new double[] {8, 28, 72, 92}, Preprocess.seen(80, 120, crop), 1e-12);
        assertArrayEquals(new double[] {0, 0, 80, 120}, Preprocess.seen(80, 120, Fakes.squash(32)), 0);
        assertEquals(32 * 32 * 3, Preprocess.pixels(noise(80, 120), crop).length);
    }

    @Test
    public void longThinImagesAreRefusedWhereTheyWouldExplode() throws BadImage {
        double[] half = {0.5, 0.5, 0.5};
        InputContract crop = new InputContract(224, true, 0.875, Kernel.BILINEAR, half, half);
        assertThrows(BadImage.class, () -> Preprocess.pixels(Fakes.grey(1, 3000, 9), crop));
        assertEquals(224 * 224 * 3, Preprocess.pixels(Fakes.grey(1, 1800, 9), crop).length);
        assertEquals(3 * 224 * 224, Preprocess.pixels(Fakes.grey(1, 30_000, 9), Fakes.squash(224)).length);
    }

    @Test
    public void imagesHoldWhatTheySay() {
        assertThrows(IllegalArgumentException.class, () -> new Rgb(2, 2, new byte[11]));
        assertThrows(IllegalArgumentException.class, () -> new Rgb(0, 2, new byte[0]));
        assertThrows(IllegalArgumentException.class, () -> new Rgb(1 << 16, 1 << 16, new byte[0]));
        int[] argb = {0xFF010203, 0x80FFFEFD};
        Rgb image = Rgb.fromArgb(argb, 2, 1);
        assertArrayEquals(new byte[] {1, 2, 3, -1, -2, -3}, image.data);
        assertArrayEquals(new int[] {0xFF010203, 0xFFFFFEFD}, image.toArgb());
    }
}
