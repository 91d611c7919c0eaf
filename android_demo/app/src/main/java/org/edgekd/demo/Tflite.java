package org.edgekd.demo;

import java.nio.ByteBuffer;

/**
 * TensorFlow Lite's C interface, function by function, as far as it is used here: `jni/tflite.c`. Models, options,
 * delegates, interpreters and tensors are pointers, 0 is none; what was created is to be deleted, in the reverse order.
 * Buffers are direct, and taken from their beginning to their capacity.
 */
final class Tflite {
    /** Types of tensors: TensorFlow Lite's numbers. */
    static final int FLOAT32 = 1;

    static final int UINT8 = 3;
    static final int INT8 = 9;

    private Tflite() {}

    /**
     * Loads the libraries; again, it does nothing.
     *
     * @throws LinkageError if this device cannot
     */
    static void load() {
        System.loadLibrary("edgekd"); // the system brings TensorFlow Lite's own, on which it depends
    }

    /** "2.21.0". */
    static native String version();

    /** A model whose bytes stay where they are; 0 if they are none. */
    static native long createModel(ByteBuffer file);

    static native void deleteModel(long model);

    static native long createOptions();

    static native void deleteOptions(long options);

    static native void setThreads(long options, int threads);

    /** Delegates take over operators in the order in which they were added. */
    static native void addDelegate(long options, long delegate);

    /** XNNPACK as the library sets it up, with so many threads. */
    static native long createXnnpack(int threads);

    static native void deleteXnnpack(long delegate);

    /**
     * A delegate that takes nothing over and notes how many operators the delegates before it left, counting what they
     * took over in one piece as one.
     *
     * @param length 4 bytes of native order, written when an interpreter is created; it stays reachable until then
     */
    static native long createCounter(ByteBuffer length);

    static native void deleteCounter(long delegate);

    /** 0 if the model has operators that are not known here, or a delegate fails. */
    static native long createInterpreter(long model, long options);

    static native void deleteInterpreter(long interpreter);

    /** 0 if all is well, as what follows. */
    static native int allocateTensors(long interpreter);

    static native int invoke(long interpreter);

    static native int inputs(long interpreter);

    static native int outputs(long interpreter);

    static native long input(long interpreter, int index);

    static native long output(long interpreter, int index);

    /**
     * Whether a tensor has this name.
     *
     * @param name bytes of UTF-8 and a zero
     */
    static native boolean isNamed(long tensor, ByteBuffer name);

    static native int type(long tensor);

    static native long byteSize(long tensor);

    /** The step of a quantized tensor; 0 for others. */
    static native float scale(long tensor);

    /** Not 0 unless the buffer has the tensor's size, as with {@link #copyTo}. */
    static native int copyFrom(long tensor, ByteBuffer buffer);

    static native int copyTo(long tensor, ByteBuffer buffer);
}
