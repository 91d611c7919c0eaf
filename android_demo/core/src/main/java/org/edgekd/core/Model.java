package org.edgekd.core;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The model that an app carries, as `model.json` describes it; read together with the file, whose hash must be the one
 * written there.
 *
 * <p>`python -m edgekd.embed` writes the app's assets: `model.tflite`, `golden/0.png`, …, and `model.json` (UTF-8, schema
 * `edgekd.app/1`). All keys are always there:
 *
 * <pre>
 * schema                   "edgekd.app/1"
 * name                     of the bundle: "mri4-mobilenetv2"
 * format                   of the artefact: "tflite-int8"
 * label_names              K names, in the order of the model's output
 * input                    size, fit "squash"|"crop", crop_fraction, kernel "bilinear"|"bicubic", colour "RGB",
 *                          layout "NHWC", mean, std: see {@link InputContract}
 * io                       "uint8": pixels in, calibrated float32 probabilities out;
 *                          "int8": pixel - 128 in, int8 logits out, to which scale and temperature are still to be applied
 * calibration_temperature  of this very file; with io "uint8" it is inside the file already
 * model                    file "model.tflite", sha256, size_bytes
 * unsure_below             confidence: an answer of less is shown as "not sure"; and for people: rule, split, images,
 *                          share (of the split's images that are below), accuracy_below, accuracy_above (null where
 *                          there are none)
 * golden                   images ["golden/0.png", …], images_sha256, decoded_sha256, pixels_sha256, probs [G][K],
 *                          tolerance: see {@link Golden}
 * samples                  pictures to try: file, title, label ("" where none is known)
 * origin                   bundle, manifest_sha256, source (how it was quantized), network, parameters, macs,
 *                          val_images, val_accuracy, edgekd (version)
 * licence                  of data and weights
 * notice                   "Research demonstration, not a medical device. …": to be shown with every answer
 * </pre>
 */
public final class Model {
    public static final String SCHEMA = "edgekd.app/1";
    private static final int MOST_CLASSES = 100_000;
    private static final int MOST_SAMPLES = 100;

    public final String name;
    public final String format;
    public final List<String> labelNames;
    public final InputContract input;
    public final boolean isInt8;
    public final double temperature;

    /** An answer of less confidence is "not sure". */
    public final double unsureBelow;

    /** Why {@link #unsureBelow} is what it is, in words. */
    public final String unsureRule;

    public final String file;
    public final String sha256;
    public final long sizeBytes;
    public final Golden golden;

    /** sha256 of the golden images' files. */
    public final List<String> goldenSha256;

    public final List<Sample> samples;
    public final String source;
    public final String network;
    public final long parameters;
    public final long macs;
    public final long valImages;
    public final double valAccuracy;
    public final String licence;
    public final String notice;

    /** A picture to try the model with. */
    public static final class Sample {
        public final String file;
        public final String title;

        /** "" where none is known. */
        public final String label;

        private Sample(Fields found) throws BadJson {
            file = found.text("file");
            title = found.text("title");
            label = found.text("label");
        }
    }

    private Model(Fields found) throws BadJson {
        name = found.text("name");
        format = found.text("format");
        labelNames = found.texts("label_names", 2, MOST_CLASSES);
        input = InputContract.read(found.fields("input"));
        isInt8 = found.oneOf("io", "uint8", "int8").equals("int8");
        temperature = found.number("calibration_temperature", 1e-3, 1e3);
        Fields unsure = found.fields("unsure_below");
        unsureBelow = unsure.number("confidence", 0, 1);
        unsureRule = unsure.text("rule");
        Fields model = found.fields("model");
        file = model.text("file");
        sha256 = model.sha256("sha256");
        sizeBytes = model.whole("size_bytes", 1, Integer.MAX_VALUE);
        golden = Golden.ofModel(found.fields("golden"), labelNames.size());
        goldenSha256 = found.fields("golden").hashes("images_sha256", golden.images.size());
        samples = samples(found.objects("samples", 0, MOST_SAMPLES));
        Fields origin = found.fields("origin");
        source = origin.text("source");
        network = origin.text("network");
        parameters = origin.whole("parameters", 0, Long.MAX_VALUE);
        macs = origin.whole("macs", 0, Long.MAX_VALUE);
        valImages = origin.whole("val_images", 0, Long.MAX_VALUE);
        valAccuracy = origin.number("val_accuracy", 0, 1);
        licence = found.text("licence");
        notice = found.text("notice");
    }

    private static List<Sample> samples(List<Fields> found) throws BadJson {
        List<Sample> samples = new ArrayList<>();
        for (Fields each : found) {
            samples.add(new Sample(each));
        }
        return Collections.unmodifiableList(samples);
    }

    /**
     * The model that `json` describes and `file` holds.
     *
     * @param file the bytes from position to limit
     * @throws BadModel for another schema, a field that is missing or wrong, or a file with another hash
     */
    public static Model read(byte[] json, ByteBuffer file) throws BadModel {
        Model model = describedBy(json);
        if (file.remaining() != model.sizeBytes || !Hash.sha256(file).equals(model.sha256)) {
            throw new BadModel(model.file + " is not the file that model.json describes: embed the model again.");
        }
        return model;
    }

    /** The description alone; the file is not looked at. */
    public static Model describedBy(byte[] json) throws BadModel {
        try {
            Fields found = Fields.of(Json.parse(json), "model.json");
            String schema = found.text("schema");
            if (!schema.equals(SCHEMA)) {
                throw new BadJson("model.json: expected schema " + SCHEMA + ", found " + schema);
            }
            return new Model(found);
        } catch (BadJson e) {
            throw new BadModel(e.getMessage(), e);
        }
    }

    /** An engine for this model, ready to answer. */
    public Session session(Engine engine) throws BadModel {
        return new Session(engine, input.size, labelNames.size(), isInt8, temperature);
    }
}
