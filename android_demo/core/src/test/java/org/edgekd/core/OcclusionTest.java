package org.edgekd.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.junit.Test;

/** Heat maps of decisions. */
public final class OcclusionTest {
    private static final int SIZE = 28;

    /** A dark image with a bright square at rows and columns 4 to 8: what makes {@link Fakes.MeanEngine} say class 2. */
    private static byte[] brightSpot() {
        byte[] pixels = new byte[3 * SIZE * SIZE];
        for (int y = 4; y < 8; y++) {
            for (int x = 12; x < 16; x++) {
                for (int c = 0; c < 3; c++) {
                    pixels[3 * (SIZE * y + x) + c] = (byte) 255;
                }
            }
        }
        return pixels;
    }

    private static InputContract darkIsNeutral() {
        return new InputContract(SIZE, false, 1, Kernel.BILINEAR, new double[3], new double[] {1, 1, 1});
    }

    private static Session session(Fakes.MeanEngine engine) throws BadModel {
        return new Session(engine, SIZE, 3, false, 1);
    }

    private static Occlusion.HeatMap map(byte[] pixels, Progress progress, Cancel cancel) throws Exception {
        Session session = session(new Fakes.MeanEngine(SIZE, 3, false));
        return Occlusion.map(session, darkIsNeutral(), pixels, 2, progress, cancel);
    }

    @Test
    public void theSpotThatDecidesIsTheHottest() throws Exception {
        Occlusion.HeatMap found = map(brightSpot(), Progress.NONE, Cancel.NEVER);
        float[] values = found.values();
        assertEquals(SIZE * SIZE, values.length);
        for (int y = 4; y < 8; y++) {
            for (int x = 12; x < 16; x++) {
                assertTrue(values[SIZE * y + x] > 0.5 * found.largest);
            }
        }
        assertEquals(0, values[SIZE * 20 + 14], 0);
        assertEquals(0, values[SIZE * SIZE - 1], 0);
        assertTrue(found.largest > 0);
        assertTrue(found.largest < found.confidence);
    }

    @Test
    public void whatSpeaksAgainstTheAnswerIsNegative() throws Exception {
        Session session = session(new Fakes.MeanEngine(SIZE, 3, false));
        Occlusion.HeatMap found =
                Occlusion.map(session, darkIsNeutral(), brightSpot(), 0, Progress.NONE, Cancel.NEVER);
        assertTrue(found.values()[SIZE * 5 + 13] < 0);
        assertEquals(0, found.largest, 0);
    }

    @Test
    public void everyPassIsToldAndCounted() throws Exception {
        Fakes.MeanEngine engine = new Fakes.MeanEngine(SIZE, 3, false);
        List<Integer> told = new ArrayList<>();
        Progress progress = (step, done, of) -> {
            assertEquals("occlusion", step);
            assertEquals(Occlusion.passes(SIZE), of);
            told.add(done);
        };
        Occlusion.map(session(engine), darkIsNeutral(), brightSpot(), 2, progress, Cancel.NEVER);
        assertEquals(Occlusion.passes(SIZE), engine.runs);
        assertEquals(engine.runs, told.size());
        for (int i = 0; i < told.size(); i++) {
            assertEquals(i + 1, (int) told.get(i));
        }
    }

    @Test
    public void theInputStaysAsItWas() throws Exception {
        byte[] pixels = brightSpot();
        map(pixels, Progress.NONE, Cancel.NEVER);
        assertEquals(Hash.sha256(brightSpot()), Hash.sha256(pixels));
    }

    @Test
    public void itStopsWhenAsked() {
        int[] asked = {0};
        assertThrows(Cancelled.class, () -> map(brightSpot(), Progress.NONE, () -> ++asked[0] > 3));
        assertEquals(4, asked[0]);
    }

    @Test
    public void everySizeIsCovered() throws Exception {
        for (int size = 1; size < 40; size++) {
            Fakes.MeanEngine engine = new Fakes.MeanEngine(size, 3, false);
            Session session = new Session(engine, size, 3, false, 1);
            byte[] white = Fakes.grey(size, size, 255).data;
            double[] black = new double[3];
            InputContract input = new InputContract(size, false, 1, Kernel.BILINEAR, black, new double[] {1, 1, 1});
            for (float value : Occlusion.map(session, input, white, 2, Progress.NONE, Cancel.NEVER).values()) {
                assertTrue("size " + size, value > 0);
            }
            assertEquals(Occlusion.passes(size), engine.runs);
        }
    }

    @Test
    public void greyIsWhatNormalizationMakesZero() {
        double[] mean = {0.485, 0.456, 0.406};
        byte[] neutral = new InputContract(8, false, 1, Kernel.BILINEAR, mean, mean).neutral();
        assertEquals(ByteBuffer.wrap(new byte[] {124, 116, 104}), ByteBuffer.wrap(neutral));
        byte[] clipped = new InputContract(8, false, 1, Kernel.BILINEAR, new double[] {-3, 0, 7}, mean).neutral();
        assertEquals(ByteBuffer.wrap(new byte[] {0, 0, -1}), ByteBuffer.wrap(clipped));
    }
}
