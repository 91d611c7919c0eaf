package org.edgekd.core;

import java.nio.ByteBuffer;

/**
 * A loaded model that answers one image at a time; not for several threads at once.
 *
 * <p>Input [1, S, S, 3], row by row: uint8 pixels, or int8 codes (pixel - 128). Output [1, K]: float32 probabilities, or
 * int8 logits in steps of {@link #outputScale}. A second output, by the name "heatmap", may be there: [1, H, W, K] float32.
 */
public interface Engine extends AutoCloseable {
    /** Bytes of the input tensor: S * S * 3. */
    int inputBytes();

    /** Bytes of the output tensor: 4 K for float32, K for int8. */
    int outputBytes();

    /** Bytes of the heat map: 4 H W K; 0 for a model without. */
    int heatmapBytes();

    /** Whether input and output are int8. */
    boolean isInt8();

    /** One step of int8 logits; 0 for float32. */
    float outputScale();

    /**
     * One inference.
     *
     * @param input direct, {@link #inputBytes} large; its position does not count
     * @param output direct, of native order, {@link #outputBytes} large; its position does not count
     */
    void run(ByteBuffer input, ByteBuffer output) throws EngineException;

    /**
     * The heat map of the last inference.
     *
     * @param map direct, of native order, {@link #heatmapBytes} large; its position does not count
     */
    void readHeatmap(ByteBuffer map) throws EngineException;

    /** "TensorFlow Lite". */
    String name();

    /** Of the runtime: "2.21.0". */
    String version();

    /** What computes: "XNNPACK" or "built-in". */
    String delegate();

    @Override
    void close();
}
