package org.edgekd.demo;

import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collections;
import java.util.List;
import org.edgekd.core.Engine;
import org.edgekd.core.EngineException;
import org.edgekd.core.EngineFactory;
import org.edgekd.core.Linux;
import org.tensorflow.lite.DataType;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.Tensor;
import org.tensorflow.lite.TensorFlowLite;

/**
 * The phone's TensorFlow Lite. Nothing of Android is used here, so that the same class runs on a desktop JVM.
 *
 * <p>Not for several threads at once.
 */
public final class TfliteEngine implements Engine {
    /** Opens models with this runtime. */
    public static final EngineFactory FACTORY = new Factory();

    private static final String HEATMAP = "heatmap";

    private final Interpreter interpreter;
    private final Tensor input;
    private final Tensor output;
    private final Tensor heatmap; // null for a model without
    private final int outputIndex;
    private final String delegate;

    private TfliteEngine(Interpreter interpreter, ByteBuffer model) throws EngineException {
        this.interpreter = interpreter;
        int outputs = interpreter.getOutputTensorCount();
        int maps = 0;
        int answer = 0;
        Tensor map = null;
        for (int i = 0; i < outputs; i++) { // by name: their order is the file's
            if (HEATMAP.equals(interpreter.getOutputTensor(i).name())) {
                map = interpreter.getOutputTensor(i);
                maps++;
            } else {
                answer = i;
            }
        }
        if (interpreter.getInputTensorCount() != 1 || outputs - maps != 1 || maps > 1) {
            throw new EngineException("The model does not have one input, and one output beside a heat map.");
        }
        if (map != null && map.dataType() != DataType.FLOAT32) {
            throw new EngineException("The model has a heat map of " + map.dataType() + ", not of float32.");
        }
        input = interpreter.getInputTensor(0);
        output = interpreter.getOutputTensor(answer);
        outputIndex = answer;
        heatmap = map;
        DataType in = input.dataType();
        DataType out = output.dataType();
        boolean isUint8 = in == DataType.UINT8 && out == DataType.FLOAT32;
        if (!isUint8 && !(in == DataType.INT8 && out == DataType.INT8)) {
            throw new EngineException("The model has an input of " + in + " and an output of " + out
                    + ", not of uint8 and float32 or both of int8.");
        }
        delegate = delegate(interpreter, model);
    }

    @Override
    public int inputBytes() {
        return input.numBytes();
    }

    @Override
    public int outputBytes() {
        return output.numBytes();
    }

    @Override
    public int heatmapBytes() {
        return heatmap == null ? 0 : heatmap.numBytes();
    }

    @Override
    public void readHeatmap(ByteBuffer map) {
        map.clear();
        ByteBuffer found = heatmap.asReadOnlyBuffer();
        found.rewind();
        map.put(found);
    }

    @Override
    public boolean isInt8() {
        return input.dataType() == DataType.INT8;
    }

    @Override
    public float outputScale() {
        return isInt8() ? output.quantizationParams().getScale() : 0;
    }

    @Override
    public void run(ByteBuffer in, ByteBuffer out) throws EngineException {
        try {
            in.rewind();
            out.rewind();
            interpreter.runForMultipleInputsOutputs(new Object[] {in}, Collections.singletonMap(outputIndex, out));
        } catch (RuntimeException e) {
            throw new EngineException("TensorFlow Lite can't run the model: " + firstLine(e), e);
        }
    }

    @Override
    public String name() {
        return "TensorFlow Lite";
    }

    @Override
    public String version() {
        return TensorFlowLite.runtimeVersion();
    }

    @Override
    public String delegate() {
        return delegate;
    }

    @Override
    public void close() {
        interpreter.close();
    }

    /**
     * "XNNPACK" if a delegate runs at least half of the operators, else "built-in"; "" where the runtime does not tell.
     *
     * <p>To have asked for XNNPACK is no proof, it turns itself off silently. A delegate puts one operator of its own
     * in the place of those that it takes over, so the runtime's plan is then shorter than the file's list of
     * operators.
     */
    private static String delegate(Interpreter interpreter, ByteBuffer model) {
        try {
            Method length = Interpreter.class.getSuperclass().getDeclaredMethod("getExecutionPlanLength");
            length.setAccessible(true);
            return 2 * (Integer) length.invoke(interpreter) <= operators(model) ? "XNNPACK" : "built-in";
        } catch (ReflectiveOperationException | RuntimeException e) {
            return ""; // another version of the runtime
        }
    }

    /**
     * How many operators the first subgraph of a model file has. The file is a FlatBuffer (TensorFlow Lite's
     * schema.fbs).
     */
    static int operators(ByteBuffer file) {
        ByteBuffer bytes = file.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        int subgraphs = vector(bytes, bytes.getInt(0), 2);
        int first = subgraphs + 4;
        return bytes.getInt(vector(bytes, first + bytes.getInt(first), 3));
    }

    /** Where the vector in a field of the FlatBuffer table at `table` begins: its length, then its elements. */
    private static int vector(ByteBuffer bytes, int table, int field) {
        int offsets = table - bytes.getInt(table);
        int at = table + (bytes.getShort(offsets + 4 + 2 * field) & 0xFFFF);
        return at + bytes.getInt(at);
    }

    /**
     * Whether XNNPACK of 2.16.1 may crash: built for Android on x86 (emulators), it asks for memory aligned to 32 bytes
     * and reads it as if aligned to 64 where the processor has AVX-512. On a desktop JVM the memory is aligned for it.
     */
    static boolean endsTheApp(String virtualMachine, List<String> cpuFeatures) {
        return "Dalvik".equals(virtualMachine) && cpuFeatures.contains("avx512f");
    }

    private static String firstLine(Throwable e) {
        String text = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage().trim();
        int end = text.indexOf('\n');
        return end < 0 ? text : text.substring(0, end);
    }

    private static final class Factory implements EngineFactory {
        @Override
        public void prepare() throws EngineException {
            try {
                TensorFlowLite.init();
            } catch (LinkageError | RuntimeException e) {
                throw new EngineException("TensorFlow Lite can't be loaded on this device: " + firstLine(e), e);
            }
        }

        /**
         * XNNPACK of 2.16.1 runs one thread whatever is asked for. Where it would end the app it is left off, which
         * {@link #delegate} tells.
         */
        @Override
        public Engine open(ByteBuffer model, int threads, boolean xnnpack) throws EngineException {
            prepare();
            Interpreter interpreter = null;
            try {
                Interpreter.Options options = new Interpreter.Options();
                options.setNumThreads(threads);
                boolean crashes = endsTheApp(System.getProperty("java.vm.name"), Linux.cpuFeatures());
                options.setUseXNNPACK(xnnpack && !crashes);
                interpreter = new Interpreter(model, options);
                Engine engine = new TfliteEngine(interpreter, model);
                interpreter = null;
                return engine;
            } catch (RuntimeException e) {
                throw new EngineException("TensorFlow Lite can't load the model: " + firstLine(e), e);
            } finally {
                if (interpreter != null) {
                    interpreter.close();
                }
            }
        }
    }
}
