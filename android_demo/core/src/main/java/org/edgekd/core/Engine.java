package org.edgekd.core;

import java.nio.ByteBuffer;

/**
 * A loaded model that answers one image at a time; not for several threads at once.
 *
 * <p>Input [1, S, S, 3], row by row: uint8 pixels, or int8 codes (pixel - 128). Output [1, K]: float32 probabilities, or
 * int8 logits in steps of {@link #outputScale}.
 */
public interface Engine extends AutoCloseable {
    /** Bytes of the input tensor: S * S * 3. */
    int inputBytes();

    /** Bytes of the output tensor: 4 K for float32, K for int8. */
    int outputBytes();

    /** Whether input and output are int8. */
    boolean isInt8();

    /** One step of int8 logits; 0 for float32. */
    float outputScale();

    /**
     * One inference.
     *
     * @param input direct, {@link #inputBytes} from position 0; its position afterwards is not defined
     * @param output direct, of native order, written from position 0; its position afterwards is not defined
     */
    void run(ByteBuffer input, ByteBuffer output) throws EngineException;

    /** "TensorFlow Lite". */
    String name();

    /** Of the runtime: "2.16.1". */
    String version();

    /** What computes: "XNNPACK" or "built-in". */
    String delegate();

    @Override
    void close();
}
