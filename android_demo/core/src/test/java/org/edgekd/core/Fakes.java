package org.edgekd.core;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/** Stand-ins for what an app brings along. */
final class Fakes {
    private Fakes() {}

    /**
     * A network small enough to be computed by hand. With m the mean of all input bytes / 255, class k of K has the logit
     * k * m: bright images belong to high classes.
     */
    static final class MeanEngine implements Engine {
        private final int inputBytes;
        private final int classes;
        private final boolean isInt8;
        int runs;
        boolean isClosed;
        float poison; // added to the first probability
        float[] map = {}; // the heat map, whatever the image

        MeanEngine(int size, int classes, boolean isInt8) {
            inputBytes = 3 * size * size;
            this.classes = classes;
            this.isInt8 = isInt8;
        }

        @Override
        public int inputBytes() {
            return inputBytes;
        }

        @Override
        public int outputBytes() {
            return isInt8 ? classes : 4 * classes;
        }

        @Override
        public int heatmapBytes() {
            return 4 * map.length;
        }

        @Override
        public void readHeatmap(ByteBuffer found) {
            found.clear();
            found.asFloatBuffer().put(map);
        }

        @Override
        public boolean isInt8() {
            return isInt8;
        }

        @Override
        public float outputScale() {
            return isInt8 ? 0.125f : 0;
        }

        @Override
        public void run(ByteBuffer input, ByteBuffer output) throws EngineException {
            if (!input.isDirect() || !output.isDirect() || input.remaining() != inputBytes) {
                throw new EngineException("buffers that no runtime takes");
            }
            runs++;
            long sum = 0;
            for (int i = 0; i < inputBytes; i++) {
                sum += isInt8 ? input.get(i) + 128 : input.get(i) & 255;
            }
            double mean = sum / 255.0 / inputBytes;
            double[] logits = new double[classes];
            for (int k = 0; k < classes; k++) {
                logits[k] = k * mean;
            }
            if (isInt8) {
                for (int k = 0; k < classes; k++) {
                    output.put(k, (byte) Math.round(logits[k] / outputScale()));
                }
                return;
            }
            float[] probs = Session.softmax(logits, 1);
            probs[0] += poison;
            output.order(ByteOrder.nativeOrder()).asFloatBuffer().put(probs);
        }

        @Override
        public String name() {
            return "Fake";
        }

        @Override
        public String version() {
            return "1.0";
        }

        @Override
        public String delegate() {
            return "built-in";
        }

        @Override
        public void close() {
            isClosed = true;
        }
    }

    /** Opens one engine, whatever the model. */
    static final class OneEngine implements EngineFactory {
        private final Engine engine;
        int threads;

        OneEngine(Engine engine) {
            this.engine = engine;
        }

        @Override
        public void prepare() {}

        @Override
        public Engine open(ByteBuffer model, int threads, boolean xnnpack) throws EngineException {
            if (!model.isDirect()) {
                throw new EngineException("a model that no runtime takes");
            }
            this.threads = threads;
            return engine;
        }
    }

    /** A device that knows little. */
    static final class Device implements DeviceFacts {
        /** So many looks find it warm. */
        int warmLooks;

        @Override
        public SystemFacts system() {
            SystemFacts facts = new SystemFacts();
            facts.machine = "x86_64";
            facts.system = "Android 14";
            facts.model = "Fake \u00e4\"\\";
            facts.cores = 4;
            facts.cpuFeatures.addAll(Linux.cpuFeatures());
            facts.maxFrequencyMhz = Linux.maxFrequencyMhz();
            facts.memoryMib = Linux.memoryMib();
            facts.governor = Linux.governor();
            facts.software.put("app", "0.1.0");
            return facts;
        }

        @Override
        public Conditions conditions() {
            Conditions now = new Conditions();
            now.loadOneMinute = Linux.loadOneMinute();
            now.frequencyMhz = Linux.frequencyMhz();
            now.temperatureC = Linux.temperatureC();
            now.throttled = false;
            now.throttling = "none";
            now.thermalHeadroom = warmLooks-- > 0 ? 0.8 : 0.5;
            now.batteryTemperatureC = 31.5;
            now.batteryPercent = 80.0;
            now.charging = true;
            return now;
        }

        @Override
        public Double pssMib() {
            return 12.5;
        }
    }

    /** Files in memory. */
    static final class Memory implements JobFiles {
        final Map<String, byte[]> contents = new LinkedHashMap<>();

        @Override
        public InputStream open(String name) throws IOException {
            return new ByteArrayInputStream(content(name));
        }

        @Override
        public ByteBuffer map(String name) throws IOException {
            byte[] content = content(name);
            ByteBuffer buffer = ByteBuffer.allocateDirect(content.length).order(ByteOrder.nativeOrder());
            buffer.put(content);
            buffer.flip();
            return buffer;
        }

        private byte[] content(String name) throws IOException {
            if (!contents.containsKey(name)) {
                throw new FileNotFoundException(name + " is missing");
            }
            return contents.get(name);
        }
    }

    /** A file of raw pixels: width and height as two bytes each, then RGB. */
    static byte[] raw(Rgb image) {
        ByteBuffer file = ByteBuffer.allocate(4 + image.data.length);
        file.putShort((short) image.width).putShort((short) image.height).put(image.data);
        return file.array();
    }

    /** Decodes what {@link #raw} makes. */
    static final Decoder RAW = file -> {
        if (file.length < 4) {
            throw new BadImage("It is too short.");
        }
        ByteBuffer from = ByteBuffer.wrap(file);
        int width = from.getShort();
        int height = from.getShort();
        if (file.length != 4 + 3 * width * height) {
            throw new BadImage("It is damaged.");
        }
        byte[] data = new byte[file.length - 4];
        from.get(data);
        return new Rgb(width, height, data);
    };

    /** An image of one grey. */
    static Rgb grey(int width, int height, int value) {
        byte[] data = new byte[3 * width * height];
        java.util.Arrays.fill(data, (byte) value);
        return new Rgb(width, height, data);
    }

    static InputContract squash(int size) {
        double[] half = {0.5, 0.5, 0.5};
        return new InputContract(size, false, 1, Kernel.BILINEAR, half, half);
    }
}
