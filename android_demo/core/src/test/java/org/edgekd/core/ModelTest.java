package org.edgekd.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.Test;

/** model.json and the file it belongs to. */
public final class ModelTest {
    static final byte[] FILE = "no model, and none is needed".getBytes(StandardCharsets.UTF_8);
    static final int SIZE = 8;

    /** A description of the network that {@link Fakes.MeanEngine} is, with one golden image, "golden/0.raw". */
    static Map<String, Object> described(boolean isInt8, Rgb image) throws BadImage {
        byte[] pixels = Preprocess.pixels(image, Fakes.squash(SIZE));
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("schema", "edgekd.app/1");
        found.put("name", "fake");
        found.put("format", "tflite");
        found.put("label_names", Arrays.asList("a", "b", "c"));
        found.put("input", object("size", SIZE, "fit", "squash", "crop_fraction", 1.0, "kernel", "bilinear",
                "colour", "RGB", "layout", "NHWC",
                "mean", new double[] {0.5, 0.5, 0.5}, "std", new double[] {1, 1, 1}));
        found.put("io", isInt8 ? "int8" : "uint8");
        found.put("calibration_temperature", 1.0);
        found.put("model", object("file", "model.tflite", "sha256", Hash.sha256(FILE), "size_bytes", FILE.length));
        found.put("unsure_below", object("confidence", 0.4, "rule", "because", "split", "val"));
        double mean = 0;
        for (byte b : pixels) {
            mean += (b & 255) / 255.0 / pixels.length;
        }
        float[] probs = Session.softmax(new double[] {0, mean, 2 * mean}, 1);
        found.put("golden", object(
                "images", Arrays.asList("golden/0.raw"),
                "images_sha256", Arrays.asList(Hash.sha256(Fakes.raw(image))),
                "decoded_sha256", Arrays.asList(Hash.sha256(image.data)),
                "pixels_sha256", Arrays.asList(Hash.sha256(pixels)),
                "probs", Arrays.asList(new double[] {probs[0], probs[1], probs[2]}),
                "tolerance", 0.05));
        found.put("samples", Arrays.asList(object("file", "golden/0.raw", "title", "Picture 1", "label", "")));
        found.put("origin", object("source", "qat", "network", "mean", "parameters", 0, "macs", 192,
                "val_images", 5, "val_accuracy", 0.8));
        found.put("licence", "Apache-2.0");
        found.put("notice", "not a medical device");
        return found;
    }

    static Map<String, Object> object(Object... keysAndValues) {
        Map<String, Object> found = new LinkedHashMap<>();
        for (int i = 0; i < keysAndValues.length; i += 2) {
            found.put((String) keysAndValues[i], keysAndValues[i + 1]);
        }
        return found;
    }

    static byte[] bytes(Map<String, Object> description) {
        return Json.write(description).getBytes(StandardCharsets.UTF_8);
    }

    static Model model(boolean isInt8) throws Exception {
        return Model.read(bytes(described(isInt8, Fakes.grey(9, 7, 200))), ByteBuffer.wrap(FILE));
    }

    private static void refused(String key, Object value, String message) throws BadImage {
        Map<String, Object> description = described(false, Fakes.grey(9, 7, 200));
        description.put(key, value);
        byte[] json = bytes(description);
        String found = assertThrows(BadModel.class, () -> Model.read(json, ByteBuffer.wrap(FILE))).getMessage();
        assertTrue(found, found.contains(message));
    }

    @Test
    public void everythingIsRead() throws Exception {
        Model model = model(false);
        assertEquals("fake", model.name);
        assertEquals(Arrays.asList("a", "b", "c"), model.labelNames);
        assertEquals(SIZE, model.input.size);
        assertEquals(0.4, model.unsureBelow, 0);
        assertEquals("Picture 1", model.samples.get(0).title);
        assertEquals("qat", model.source);
        assertEquals(192, model.macs);
        assertEquals(0.05, model.golden.tolerance, 0);
        assertEquals("not a medical device", model.notice);
    }

    @Test
    public void labelsHaveNamesForPeople() throws Exception {
        Map<String, Object> description = described(false, Fakes.grey(9, 7, 200));
        description.put("label_names", Arrays.asList("no_tumor", "small-cell", "__"));
        Model model = Model.describedBy(bytes(description));
        assertEquals(Arrays.asList("no tumor", "small cell", "__"), model.displayNames);
        description.put("display_names", Arrays.asList("no tumour", "small cell", "x"));
        model = Model.describedBy(bytes(description));
        assertEquals("no tumour", model.displayName("no_tumor"));
        assertEquals("no label", model.displayName("no label"));
    }

    @Test
    public void whatIsMissingOrWrongIsNamed() throws BadImage {
        for (String key : described(false, Fakes.grey(9, 7, 200)).keySet()) {
            refused(key, null, "model.json." + key + ": expected");
        }
        refused("schema", "edgekd.app/2", "expected schema edgekd.app/1, found edgekd.app/2");
        refused("label_names", Arrays.asList("a", "b"), "golden.probs: expected a list of 2, found 3 values");
        refused("label_names", Arrays.asList("a"), "expected a list of 2 to 100000, found 1 values");
        refused("calibration_temperature", 0, "model.json.calibration_temperature");
        refused("unsure_below", object("confidence", 1.5, "rule", ""), "model.json.unsure_below.confidence");
        refused("io", "float32", "expected one of [uint8, int8], found float32");
    }

    @Test
    public void anotherFileIsRefused() throws BadImage {
        byte[] json = bytes(described(false, Fakes.grey(9, 7, 200)));
        byte[] other = FILE.clone();
        other[3]++;
        List<byte[]> wrong = Arrays.asList(other, new byte[0], Arrays.copyOf(FILE, FILE.length - 1));
        for (byte[] file : wrong) {
            BadModel found = assertThrows(BadModel.class, () -> Model.read(json, ByteBuffer.wrap(file)));
            assertTrue(found.getMessage(), found.getMessage().contains("is not the file that model.json describes"));
        }
    }

    @Test
    public void whatIsNoDescriptionIsRefused() {
        for (String text : new String[] {"", "{}", "[]", "\u0000", "{\"schema\": 1}"}) {
            assertThrows(BadModel.class, () -> Model.describedBy(text.getBytes(StandardCharsets.UTF_8)));
        }
    }

    @Test
    public void theFileStaysWhereItWas() throws Exception {
        ByteBuffer file = ByteBuffer.wrap(FILE);
        Model.read(bytes(described(false, Fakes.grey(9, 7, 200))), file);
        assertEquals(FILE.length, file.remaining());
    }
}
