package org.edgekd.demo;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.edgekd.core.Engine;
import org.edgekd.core.EngineException;
import org.edgekd.core.EngineFactory;

/**
 * The phone's TensorFlow Lite. Nothing of Android is used here, so that the same class runs on a desktop JVM.
 *
 * <p>Not for several threads at once.
 */
public final class TfliteEngine implements Engine {
    /** Opens models with this runtime. */
    public static final EngineFactory FACTORY = new Factory();

    private static final ByteBuffer HEATMAP = direct("heatmap\0".getBytes(StandardCharsets.UTF_8));

    private final ByteBuffer file; // keeps the model's bytes where they are
    private final ByteBuffer before = direct(new byte[Integer.BYTES]); // how long the plan is without XNNPACK, and with it
    private final ByteBuffer after = direct(new byte[Integer.BYTES]);
    private long model;
    private long options;
    private long counterBefore;
    private long xnnpack;
    private long counterAfter;
    private long interpreter;
    private long input;
    private long output;
    private long heatmap; // 0 for a model without

    private TfliteEngine(ByteBuffer file) {
        this.file = file;
    }

    private void open(int threads, boolean isXnnpack) throws EngineException {
        model = need(Tflite.createModel(file), "it is no valid file");
        options = need(Tflite.createOptions(), "it gives no options");
        Tflite.setThreads(options, threads);
        counterBefore = need(Tflite.createCounter(before), "it gives no delegate");
        Tflite.addDelegate(options, counterBefore);
        if (isXnnpack) {
            xnnpack = need(Tflite.createXnnpack(threads), "it gives no XNNPACK");
            Tflite.addDelegate(options, xnnpack);
        }
        counterAfter = need(Tflite.createCounter(after), "it gives no delegate");
        Tflite.addDelegate(options, counterAfter);
        interpreter = need(Tflite.createInterpreter(model, options), "it has operators or tensors that are not known here");
        if (Tflite.allocateTensors(interpreter) != 0) {
            throw new EngineException("TensorFlow Lite can't load the model: its tensors can't be allocated");
        }
        findTensors();
    }

    private static long need(long pointer, String why) throws EngineException {
        if (pointer == 0) {
            throw new EngineException("TensorFlow Lite can't load the model: " + why);
        }
        return pointer;
    }

    private void findTensors() throws EngineException {
        int maps = 0;
        int outputs = Tflite.outputs(interpreter);
        for (int i = 0; i < outputs; i++) { // by name: their order is the file's
            long tensor = Tflite.output(interpreter, i);
            if (Tflite.isNamed(tensor, HEATMAP)) {
                heatmap = tensor;
                maps++;
            } else {
                output = tensor;
            }
        }
        if (Tflite.inputs(interpreter) != 1 || outputs - maps != 1 || maps > 1) {
            throw new EngineException("The model does not have one input, and one output beside a heat map.");
        }
        if (heatmap != 0 && Tflite.type(heatmap) != Tflite.FLOAT32) {
            throw new EngineException("The model has a heat map of " + words(Tflite.type(heatmap)) + ", not of float32.");
        }
        input = Tflite.input(interpreter, 0);
        int in = Tflite.type(input);
        int out = Tflite.type(output);
        boolean isUint8 = in == Tflite.UINT8 && out == Tflite.FLOAT32;
        if (!isUint8 && !(in == Tflite.INT8 && out == Tflite.INT8)) {
            throw new EngineException("The model has an input of " + words(in) + " and an output of " + words(out)
                    + ", not of uint8 and float32 or both of int8.");
        }
    }

    private static String words(int type) {
        switch (type) {
            case Tflite.FLOAT32:
                return "float32";
            case Tflite.UINT8:
                return "uint8";
            case Tflite.INT8:
                return "int8";
            default:
                return "type " + type;
        }
    }

    @Override
    public int inputBytes() {
        return (int) Tflite.byteSize(input);
    }

    @Override
    public int outputBytes() {
        return (int) Tflite.byteSize(output);
    }

    @Override
    public int heatmapBytes() {
        return heatmap == 0 ? 0 : (int) Tflite.byteSize(heatmap);
    }

    @Override
    public void readHeatmap(ByteBuffer map) throws EngineException {
        check(Tflite.copyTo(heatmap, map), "its heat map can't be read");
    }

    @Override
    public boolean isInt8() {
        return Tflite.type(input) == Tflite.INT8;
    }

    @Override
    public float outputScale() {
        return isInt8() ? Tflite.scale(output) : 0;
    }

    @Override
    public void run(ByteBuffer in, ByteBuffer out) throws EngineException {
        if (interpreter == 0) {
            throw new IllegalStateException("closed");
        }
        check(Tflite.copyFrom(input, in), "it does not take the input");
        check(Tflite.invoke(interpreter), "an operator fails");
        check(Tflite.copyTo(output, out), "its output can't be read");
    }

    private static void check(int status, String why) throws EngineException {
        if (status != 0) {
            throw new EngineException("TensorFlow Lite can't run the model: " + why);
        }
    }

    @Override
    public String name() {
        return "TensorFlow Lite";
    }

    @Override
    public String version() {
        return Tflite.version();
    }

    /**
     * "XNNPACK" if it took over at least half of the operators, else "built-in": to have asked for it is no proof. It puts
     * one operator of its own in the place of those that it takes over in one piece.
     */
    @Override
    public String delegate() {
        return 2 * after.getInt(0) <= before.getInt(0) ? "XNNPACK" : "built-in";
    }

    /** Deletes what there is, in the order in which one depends on the other; again, it does nothing. */
    @Override
    public void close() {
        if (interpreter != 0) {
            Tflite.deleteInterpreter(interpreter);
        }
        for (long counter : new long[] {counterBefore, counterAfter}) {
            if (counter != 0) {
                Tflite.deleteCounter(counter);
            }
        }
        if (xnnpack != 0) {
            Tflite.deleteXnnpack(xnnpack);
        }
        if (options != 0) {
            Tflite.deleteOptions(options);
        }
        if (model != 0) {
            Tflite.deleteModel(model);
        }
        interpreter = counterBefore = counterAfter = xnnpack = options = model = 0;
    }

    private static ByteBuffer direct(byte[] content) {
        ByteBuffer found = ByteBuffer.allocateDirect(content.length).order(ByteOrder.nativeOrder());
        found.put(content).rewind();
        return found;
    }

    private static final class Factory implements EngineFactory {
        @Override
        public void prepare() throws EngineException {
            try {
                Tflite.load();
            } catch (LinkageError e) {
                throw new EngineException("TensorFlow Lite can't be loaded on this device: " + e.getMessage(), e);
            }
        }

        @Override
        public Engine open(ByteBuffer model, int threads, boolean xnnpack) throws EngineException {
            prepare();
            TfliteEngine engine = new TfliteEngine(model);
            boolean isOpen = false;
            try {
                engine.open(threads, xnnpack);
                isOpen = true;
                return engine;
            } finally {
                if (!isOpen) {
                    engine.close();
                }
            }
        }
    }
}
