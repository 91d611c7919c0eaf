/* TensorFlow Lite's C interface for Java (Tflite.java), function by function: pointers are longs there, 0 is NULL.
 *
 * Nothing is decided here, nothing is allocated and nothing of a C library is used, so that the compiled library
 * depends on TensorFlow Lite's alone. The declarations are those of the headers of version 2.21 (c_api.h, c_api_opaque.h,
 * xnnpack_delegate.h); `Java_…` is how JNI finds a function. */
#include <stdint.h>

#include "org_edgekd_demo_Tflite.h" /* what javac makes of Tflite.java: the compiler compares */

typedef struct {
    float scale;
    int32_t zero_point;
} grid;
typedef struct {
    int size;
    int data[];
} int_array;
typedef struct {
    int32_t threads; /* the first field; the others keep what the library writes */
    char others[508]; /* more than they take */
} xnnpack_options;
typedef struct {
    void *data;
    int (*prepare)(void *context, void *delegate, void *data);
    void *unused[3];
    int64_t flags;
} delegate_builder;

const char *TfLiteVersion(void);
void *TfLiteModelCreate(const void *file, size_t size);
void TfLiteModelDelete(void *);
void *TfLiteInterpreterOptionsCreate(void);
void TfLiteInterpreterOptionsDelete(void *);
void TfLiteInterpreterOptionsSetNumThreads(void *, int32_t);
void TfLiteInterpreterOptionsAddDelegate(void *, void *);
xnnpack_options TfLiteXNNPackDelegateOptionsDefault(void);
void *TfLiteXNNPackDelegateCreate(const xnnpack_options *);
void TfLiteXNNPackDelegateDelete(void *);
void *TfLiteOpaqueDelegateCreate(const delegate_builder *);
void TfLiteOpaqueDelegateDelete(void *);
int TfLiteOpaqueContextGetExecutionPlan(void *, int_array **);
void *TfLiteInterpreterCreate(const void *model, const void *options);
void TfLiteInterpreterDelete(void *);
int TfLiteInterpreterAllocateTensors(void *); /* 0 if all is well, as whatever gives an int and is no count */
int TfLiteInterpreterInvoke(void *);
int32_t TfLiteInterpreterGetInputTensorCount(const void *);
int32_t TfLiteInterpreterGetOutputTensorCount(const void *);
void *TfLiteInterpreterGetInputTensor(const void *, int32_t index);
const void *TfLiteInterpreterGetOutputTensor(const void *, int32_t index);
const char *TfLiteTensorName(const void *);
int TfLiteTensorType(const void *);
size_t TfLiteTensorByteSize(const void *);
grid TfLiteTensorQuantizationParams(const void *);
int TfLiteTensorCopyFromBuffer(void *, const void *, size_t);
int TfLiteTensorCopyToBuffer(const void *, void *, size_t);

#define JAVA(type, name) JNIEXPORT type JNICALL Java_org_edgekd_demo_Tflite_##name
#define HERE JNIEnv *env, jclass self
#define TO(pointer) ((void *)(intptr_t)(pointer))
#define FROM(pointer) ((jlong)(intptr_t)(pointer))
#define ADDRESS(buffer) (*env)->GetDirectBufferAddress(env, buffer)
#define CAPACITY(buffer) (size_t)(*env)->GetDirectBufferCapacity(env, buffer)

/* The system looks for this name in the libraries that this one depends on too, where it is that of other Java classes. */
JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved) { return JNI_VERSION_1_6; }
JNIEXPORT void JNICALL JNI_OnUnload(JavaVM *vm, void *reserved) {}

JAVA(jstring, version)(HERE) { return (*env)->NewStringUTF(env, TfLiteVersion()); }

JAVA(jlong, createModel)(HERE, jobject file) { return FROM(TfLiteModelCreate(ADDRESS(file), CAPACITY(file))); }

JAVA(void, deleteModel)(HERE, jlong model) { TfLiteModelDelete(TO(model)); }

JAVA(jlong, createOptions)(HERE) { return FROM(TfLiteInterpreterOptionsCreate()); }

JAVA(void, deleteOptions)(HERE, jlong options) { TfLiteInterpreterOptionsDelete(TO(options)); }

JAVA(void, setThreads)(HERE, jlong options, jint threads) {
    TfLiteInterpreterOptionsSetNumThreads(TO(options), threads);
}

JAVA(void, addDelegate)(HERE, jlong options, jlong delegate) {
    TfLiteInterpreterOptionsAddDelegate(TO(options), TO(delegate));
}

JAVA(jlong, createXnnpack)(HERE, jint threads) {
    xnnpack_options options = TfLiteXNNPackDelegateOptionsDefault();
    options.threads = threads;
    return FROM(TfLiteXNNPackDelegateCreate(&options));
}

JAVA(void, deleteXnnpack)(HERE, jlong delegate) { TfLiteXNNPackDelegateDelete(TO(delegate)); }

/* A delegate that takes nothing over: it is asked in its turn, and writes down how long the plan is then. */
static int count(void *context, void *delegate, void *length) {
    int_array *plan = 0;
    int status = TfLiteOpaqueContextGetExecutionPlan(context, &plan);
    if (status == 0) *(int32_t *)length = plan->size;
    return status;
}

JAVA(jlong, createCounter)(HERE, jobject length) {
    enum { ALLOW_DYNAMIC_TENSORS = 1 }; /* or the graph would be fixed after it */
    delegate_builder builder;
    builder.data = ADDRESS(length);
    builder.prepare = count;
    builder.unused[0] = builder.unused[1] = builder.unused[2] = 0;
    builder.flags = ALLOW_DYNAMIC_TENSORS;
    return FROM(TfLiteOpaqueDelegateCreate(&builder));
}

JAVA(void, deleteCounter)(HERE, jlong delegate) { TfLiteOpaqueDelegateDelete(TO(delegate)); }

JAVA(jlong, createInterpreter)(HERE, jlong model, jlong options) {
    return FROM(TfLiteInterpreterCreate(TO(model), TO(options)));
}

JAVA(void, deleteInterpreter)(HERE, jlong interpreter) { TfLiteInterpreterDelete(TO(interpreter)); }

JAVA(jint, allocateTensors)(HERE, jlong interpreter) { return TfLiteInterpreterAllocateTensors(TO(interpreter)); }

JAVA(jint, invoke)(HERE, jlong interpreter) { return TfLiteInterpreterInvoke(TO(interpreter)); }

JAVA(jint, inputs)(HERE, jlong interpreter) { return TfLiteInterpreterGetInputTensorCount(TO(interpreter)); }

JAVA(jint, outputs)(HERE, jlong interpreter) { return TfLiteInterpreterGetOutputTensorCount(TO(interpreter)); }

JAVA(jlong, input)(HERE, jlong interpreter, jint index) {
    return FROM(TfLiteInterpreterGetInputTensor(TO(interpreter), index));
}

JAVA(jlong, output)(HERE, jlong interpreter, jint index) {
    return FROM(TfLiteInterpreterGetOutputTensor(TO(interpreter), index));
}

/* `name` ends with a zero. A file's name of a tensor may be no text at all, which JNI must not see. */
JAVA(jboolean, isNamed)(HERE, jlong tensor, jobject name) {
    const char *found = TfLiteTensorName(TO(tensor)), *wanted = ADDRESS(name);
    size_t length = CAPACITY(name), same = 0;
    while (same < length && found[same] == wanted[same]) same++;
    return same == length;
}

JAVA(jint, type)(HERE, jlong tensor) { return TfLiteTensorType(TO(tensor)); }

JAVA(jlong, byteSize)(HERE, jlong tensor) { return (jlong)TfLiteTensorByteSize(TO(tensor)); }

JAVA(jfloat, scale)(HERE, jlong tensor) { return TfLiteTensorQuantizationParams(TO(tensor)).scale; }

JAVA(jint, copyFrom)(HERE, jlong tensor, jobject buffer) {
    return TfLiteTensorCopyFromBuffer(TO(tensor), ADDRESS(buffer), CAPACITY(buffer));
}

JAVA(jint, copyTo)(HERE, jlong tensor, jobject buffer) {
    return TfLiteTensorCopyToBuffer(TO(tensor), ADDRESS(buffer), CAPACITY(buffer));
}
