package org.edgekd.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** An engine with what stands before and behind it: pixels to its input, its output to probabilities. Not thread-safe. */
public final class Session {
    private final Engine engine;
    private final int inputBytes;
    private final int classes;
    private final boolean isInt8;
    private final double temperature;
    private final ByteBuffer output;

    /**
     * For a model of these facts.
     *
     * @throws BadModel if the engine's tensors are not what they say
     */
    public Session(Engine engine, int size, int classes, boolean isInt8, double temperature) throws BadModel {
        this.engine = engine;
        this.classes = classes;
        this.isInt8 = isInt8;
        this.temperature = temperature;
        inputBytes = 3 * size * size;
        int outputBytes = isInt8 ? classes : 4 * classes;
        if (engine.inputBytes() != inputBytes || engine.outputBytes() != outputBytes || engine.isInt8() != isInt8) {
            throw new BadModel("The model file has other tensors than its description: "
                    + engine.inputBytes() + " bytes in and " + engine.outputBytes() + " out, expected "
                    + inputBytes + " and " + outputBytes + ".");
        }
        output = ByteBuffer.allocateDirect(outputBytes).order(ByteOrder.nativeOrder());
    }

    /** Calibrated probabilities [K] of pixels [S, S, 3] uint8. */
    public float[] probs(byte[] pixels) throws EngineException {
        return probs(infer(feed(pixels)));
    }

    /** Pixels [S, S, 3] uint8 as the engine takes them: a direct buffer of its own. */
    public ByteBuffer feed(byte[] pixels) {
        if (pixels.length != inputBytes) {
            throw new IllegalArgumentException(inputBytes + " bytes of pixels expected, found " + pixels.length);
        }
        ByteBuffer feed = ByteBuffer.allocateDirect(inputBytes).order(ByteOrder.nativeOrder());
        fill(feed, pixels);
        return feed;
    }

    /** Writes pixels into a buffer that {@link #feed} made. */
    public void fill(ByteBuffer feed, byte[] pixels) {
        feed.clear();
        if (isInt8) {
            for (int i = 0; i < inputBytes; i++) {
                feed.put(i, (byte) (pixels[i] ^ 0x80)); // pixel - 128
            }
        } else {
            feed.put(pixels, 0, inputBytes);
        }
        feed.clear();
    }

    /** One inference; the output is this session's and holds until the next. */
    public ByteBuffer infer(ByteBuffer feed) throws EngineException {
        feed.clear();
        output.clear();
        engine.run(feed, output);
        output.clear();
        return output;
    }

    /**
     * The heat map of the last inference.
     *
     * @throws EngineException for a model without, or a map that holds what is no number
     */
    public ClassMap heatmap(int height, int width) throws EngineException {
        int bytes = engine.heatmapBytes();
        if (bytes == 0 || bytes != 4L * height * width * classes) {
            throw new EngineException("The model has no heat map of " + height + " by " + width + " places.");
        }
        ByteBuffer map = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
        engine.readHeatmap(map);
        float[] values = new float[bytes / 4];
        map.clear();
        map.asFloatBuffer().get(values);
        return new ClassMap(height, width, classes, values);
    }

    /**
     * The probabilities [K] that an output holds. Of int8 logits: exp((z - max z) / T) over its sum, in double, as
     * edgekd's sessions.
     */
    public float[] probs(ByteBuffer found) {
        float[] probs = new float[classes];
        if (!isInt8) {
            found.duplicate().order(ByteOrder.nativeOrder()).asFloatBuffer().get(probs);
            return probs;
        }
        double[] z = new double[classes];
        for (int k = 0; k < classes; k++) {
            z[k] = found.get(k) * (double) engine.outputScale();
        }
        return softmax(z, temperature);
    }

    /** exp((z - max z) / T) over its sum, in double, then rounded to float. */
    static float[] softmax(double[] z, double temperature) {
        double largest = Double.NEGATIVE_INFINITY;
        for (double each : z) {
            largest = Math.max(largest, each);
        }
        double[] powers = new double[z.length];
        double sum = 0;
        for (int k = 0; k < z.length; k++) {
            powers[k] = StrictMath.exp((z[k] - largest) / temperature); // the same on every phone
            sum += powers[k];
        }
        float[] probs = new float[z.length];
        for (int k = 0; k < z.length; k++) {
            probs[k] = (float) (powers[k] / sum);
        }
        return probs;
    }
}
