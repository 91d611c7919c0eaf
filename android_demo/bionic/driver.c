/* driver MODEL [heatmap]: runs a network through Android's TFLite library, on its C interface, with XNNPACK.
 *
 * First a line of facts:  version  input_bytes  output_bytes  output_type  scale  zero_point
 * (`output_type` is TFLite's number: 1 float, 3 uint8, 9 int8). Then, until standard input ends: the bytes of an input in,
 * the bytes of its output out, or with `heatmap` those of its heat map. How many operators XNNPACK took over is in the
 * library's log, on standard error. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part of TFLite's C interface that is used here. */
typedef struct model model;
typedef struct options options;
typedef struct interpreter interpreter;
typedef struct tensor tensor;
typedef struct delegate delegate;
typedef struct {
    float scale;
    int zero_point;
} grid;

const char *TfLiteVersion(void);
model *TfLiteModelCreateFromFile(const char *path);
options *TfLiteInterpreterOptionsCreate(void);
void TfLiteInterpreterOptionsAddDelegate(options *, delegate *);
delegate *TfLiteXNNPackDelegateCreate(const void *options); /* NULL: its defaults */
interpreter *TfLiteInterpreterCreate(const model *, const options *);
int TfLiteInterpreterAllocateTensors(interpreter *); /* 0 if all is well, as everything below that gives an int */
int TfLiteInterpreterInvoke(interpreter *);
tensor *TfLiteInterpreterGetInputTensor(const interpreter *, int index);
int TfLiteInterpreterGetOutputTensorCount(const interpreter *);
const tensor *TfLiteInterpreterGetOutputTensor(const interpreter *, int index);
const char *TfLiteTensorName(const tensor *);
size_t TfLiteTensorByteSize(const tensor *);
int TfLiteTensorType(const tensor *);
grid TfLiteTensorQuantizationParams(const tensor *);
int TfLiteTensorCopyFromBuffer(tensor *, const void *, size_t);
int TfLiteTensorCopyToBuffer(const tensor *, void *, size_t);

static void need(int is_so, const char *words) {
    if (is_so) return;
    fprintf(stderr, "driver: %s\n", words);
    exit(1);
}

/* The output that is a heat map, or the one that is none: by name, as their order is the file's. */
static const tensor *output(const interpreter *network, int is_map) {
    for (int i = 0; i < TfLiteInterpreterGetOutputTensorCount(network); i++) {
        const tensor *found = TfLiteInterpreterGetOutputTensor(network, i);
        if ((strcmp(TfLiteTensorName(found), "heatmap") == 0) == is_map) return found;
    }
    return NULL;
}

int main(int count, char **arguments) {
    int is_map = count == 3 && strcmp(arguments[2], "heatmap") == 0;
    need(count == 2 || is_map, "expected a .tflite file, and perhaps the word heatmap");
    model *file = TfLiteModelCreateFromFile(arguments[1]);
    need(file != NULL, "this is no TFLite model");
    options *wishes = TfLiteInterpreterOptionsCreate();
    TfLiteInterpreterOptionsAddDelegate(wishes, TfLiteXNNPackDelegateCreate(NULL));
    interpreter *network = TfLiteInterpreterCreate(file, wishes);
    need(network != NULL, "no interpreter for this model");
    need(TfLiteInterpreterAllocateTensors(network) == 0, "tensors cannot be allocated");
    tensor *in = TfLiteInterpreterGetInputTensor(network, 0);
    const tensor *out = output(network, is_map);
    need(out != NULL, "there is no such output");
    size_t in_bytes = TfLiteTensorByteSize(in), out_bytes = TfLiteTensorByteSize(out), got;
    grid codes = TfLiteTensorQuantizationParams(out);
    printf("%s %zu %zu %d %.9g %d\n", TfLiteVersion(), in_bytes, out_bytes, TfLiteTensorType(out),
           (double)codes.scale, codes.zero_point);
    fflush(stdout);
    char *given = malloc(in_bytes), *found = malloc(out_bytes);
    need(given && found, "no memory");
    while ((got = fread(given, 1, in_bytes, stdin)) == in_bytes) {
        need(TfLiteTensorCopyFromBuffer(in, given, in_bytes) == 0, "the input is not taken");
        need(TfLiteInterpreterInvoke(network) == 0, "inference failed");
        need(TfLiteTensorCopyToBuffer(out, found, out_bytes) == 0, "there is no output");
        need(fwrite(found, 1, out_bytes, stdout) == out_bytes && fflush(stdout) == 0, "the output cannot be written");
    }
    need(got == 0, "the input ended in the middle of an image");
    return 0;
}
