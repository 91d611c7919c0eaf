/* driver MODEL THREADS [heatmap]: runs a network through the app's native libraries, with XNNPACK, as its Java does.
 *
 * It calls what Java calls (app/src/main/jni/tflite.c), with the three functions of JNI that are used there played here.
 * First a line of facts:  version  input_bytes  output_bytes  output_type  scale  operators  left
 * (`output_type` is TFLite's number: 1 float, 3 uint8, 9 int8; `left`: how many operators are left to run with XNNPACK,
 * which counts as one). Then, until standard input ends: the bytes of an input in, the bytes of its output out, or with
 * `heatmap` those of its heat map. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "org_edgekd_demo_Tflite.h" /* what javac makes of Tflite.java */

#define CALL(name, ...) Java_org_edgekd_demo_Tflite_##name(&env, NULL, ##__VA_ARGS__)

/* A direct ByteBuffer. */
typedef struct {
    void *at;
    size_t size;
} buffer;

static void *address(JNIEnv *e, jobject b) { return ((buffer *)b)->at; }
static jlong capacity(JNIEnv *e, jobject b) { return (jlong)((buffer *)b)->size; }
static jstring text(JNIEnv *e, const char *words) { return (jstring)words; }

static const struct JNINativeInterface_ functions = {
    .GetDirectBufferAddress = address,
    .GetDirectBufferCapacity = capacity,
    .NewStringUTF = text,
};
static JNIEnv env = &functions;

static void need(int is_so, const char *words) {
    if (is_so) return;
    fprintf(stderr, "driver: %s\n", words);
    exit(1);
}

static buffer room(size_t size) {
    buffer found = {malloc(size), size};
    need(found.at != NULL, "no memory");
    return found;
}

static buffer content(const char *path) {
    FILE *file = fopen(path, "rb");
    need(file != NULL && fseek(file, 0, SEEK_END) == 0, "the file cannot be opened");
    buffer found = room(ftell(file));
    rewind(file);
    need(fread(found.at, 1, found.size, file) == found.size, "the file cannot be read");
    fclose(file);
    return found;
}

/* The output that is a heat map, or the one that is none: by name, as their order is the file's. */
static jlong output(jlong network, int is_map) {
    buffer name = {"heatmap", sizeof "heatmap"};
    for (int i = 0; i < CALL(outputs, network); i++) {
        jlong found = CALL(output, network, i);
        if (CALL(isNamed, found, (jobject)&name) == is_map) return found;
    }
    return 0;
}

int main(int count, char **arguments) {
    int is_map = count == 4 && strcmp(arguments[3], "heatmap") == 0, operators, left;
    need(count == 3 || is_map, "expected a .tflite file, a number of threads, and perhaps the word heatmap");
    buffer file = content(arguments[1]), before = {&operators, sizeof operators}, after = {&left, sizeof left};
    jlong model = CALL(createModel, (jobject)&file);
    need(model != 0, "this is no TFLite model");
    jlong options = CALL(createOptions);
    int threads = atoi(arguments[2]);
    CALL(setThreads, options, threads);
    jlong first = CALL(createCounter, (jobject)&before), xnnpack = CALL(createXnnpack, threads);
    jlong last = CALL(createCounter, (jobject)&after);
    CALL(addDelegate, options, first);
    CALL(addDelegate, options, xnnpack);
    CALL(addDelegate, options, last);
    jlong network = CALL(createInterpreter, model, options);
    need(network != 0, "no interpreter for this model");
    need(CALL(allocateTensors, network) == 0, "tensors cannot be allocated");
    jlong in = CALL(input, network, 0), out = output(network, is_map);
    need(out != 0, "there is no such output");
    buffer given = room(CALL(byteSize, in)), found = room(CALL(byteSize, out));
    printf("%s %zu %zu %d %.9g %d %d\n", (const char *)CALL(version), given.size, found.size, CALL(type, out),
           (double)CALL(scale, out), operators, left);
    fflush(stdout);
    size_t got;
    while ((got = fread(given.at, 1, given.size, stdin)) == given.size) {
        need(CALL(copyFrom, in, (jobject)&given) == 0, "the input is not taken");
        need(CALL(invoke, network) == 0, "inference failed");
        need(CALL(copyTo, out, (jobject)&found) == 0, "there is no output");
        need(fwrite(found.at, 1, found.size, stdout) == found.size && fflush(stdout) == 0, "the output cannot be written");
    }
    need(got == 0, "the input ended in the middle of an image");
    return 0;
}
