package org.edgekd.demo;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Random;
import org.edgekd.core.Engine;
import org.edgekd.core.EngineException;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;

/** The engine on the phone's own TensorFlow Lite, which is native code: nothing that is wrong may end the process. */
@RunWith(RobolectricTestRunner.class)
public class EngineTest {
    private byte[] file;

    @Before
    public void setUp() throws Exception {
        Phone.needsTflite();
        file = Files.readAllBytes(Paths.get(System.getProperty("edgekd.demo"), "app/src/main/assets/model.tflite"));
    }

    private static ByteBuffer direct(byte[] content) {
        ByteBuffer found = ByteBuffer.allocateDirect(content.length).order(ByteOrder.nativeOrder());
        found.put(content).rewind();
        return found;
    }

    private static Engine open(byte[] content, int threads, boolean xnnpack) throws EngineException {
        return TfliteEngine.FACTORY.open(direct(content), threads, xnnpack);
    }

    private static byte[] answer(Engine engine, long seed) throws EngineException {
        byte[] pixels = new byte[engine.inputBytes()];
        new Random(seed).nextBytes(pixels);
        ByteBuffer out = direct(new byte[engine.outputBytes()]);
        engine.run(direct(pixels), out);
        byte[] found = new byte[out.capacity()];
        out.rewind();
        out.get(found);
        return found;
    }

    @Test
    public void severalAtOnceAnswerEachForItself() throws Exception {
        try (Engine one = open(file, 1, true);
                Engine four = open(file, 4, true)) {
            byte[] first = answer(one, 1);
            byte[] second = answer(four, 2);
            assertArrayEquals(first, answer(four, 1)); // threads change nothing
            assertArrayEquals(second, answer(one, 2));
            assertTrue(!Arrays.equals(first, second));
        }
    }

    @Test
    public void filesThatAreNone() {
        byte[][] contents = {
            new byte[0], new byte[4096], Arrays.copyOf(file, 100), Arrays.copyOf(file, file.length / 2),
        };
        for (byte[] content : contents) {
            EngineException e = assertThrows(EngineException.class, () -> open(content, 1, true));
            assertEquals("TensorFlow Lite can't load the model: it is no valid file", e.getMessage());
        }
    }

    @Test
    public void buffersOfAnotherSize() throws Exception {
        try (Engine engine = open(file, 1, true)) {
            ByteBuffer in = direct(new byte[engine.inputBytes()]);
            ByteBuffer out = direct(new byte[engine.outputBytes()]);
            ByteBuffer large = direct(new byte[engine.inputBytes() + 1]);
            ByteBuffer notDirect = ByteBuffer.allocate(engine.inputBytes());
            assertThrows(EngineException.class, () -> engine.run(large, out));
            assertThrows(EngineException.class, () -> engine.run(notDirect, out));
            assertThrows(EngineException.class, () -> engine.run(in, direct(new byte[1])));
            assertThrows(EngineException.class, () -> engine.readHeatmap(direct(new byte[3])));
            engine.run(in, out);
            engine.readHeatmap(direct(new byte[engine.heatmapBytes()]));
        }
    }

    @Test
    public void whatIsClosedStaysClosed() throws Exception {
        Engine engine = open(file, 1, false);
        assertEquals("built-in", engine.delegate());
        ByteBuffer in = direct(new byte[engine.inputBytes()]);
        ByteBuffer out = direct(new byte[engine.outputBytes()]);
        engine.close();
        engine.close();
        assertThrows(IllegalStateException.class, () -> engine.run(in, out));
    }
}
