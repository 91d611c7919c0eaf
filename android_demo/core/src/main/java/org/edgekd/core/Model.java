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
 * `edgekd.app/1`). All keys are always there, but for display_names, conformal and heatmap in those of older versions:
 *
 * <pre>
 * schema                   "edgekd.app/1"
 * name                     of the bundle: "mri4p-mobilenetv2"
 * format                   of the artefact: "tflite-int8"
 * label_names              K names, in the order of the model's output
 * display_names            the same for people: "no tumour" for "notumor"
 * input                    size, fit "squash"|"crop", crop_fraction, kernel "bilinear"|"bicubic", colour "RGB",
 *                          layout "NHWC", mean, std: see {@link InputContract}
 * io                       "uint8": pixels in, calibrated float32 probabilities out;
 *                          "int8": pixel - 128 in, int8 logits out, to which scale and temperature are still to be applied
 * calibration_temperature  of this very file; with io "uint8" it is inside the file already
 * model                    file "model.tflite", sha256, size_bytes
 * unsure_below             confidence: an answer of less is shown as "not sure"; and for people: rule, split, images,
 *                          share (of the split's images that are below), accuracy_below, accuracy_above (null where
 *                          there are none)
 * conformal                alpha, quantile: an answer may be each class with 1 - p at most `quantile`; none or all of them is
 *                          "not sure", in place of unsure_below. null where there is none
 * heatmap                  height, width of the second output "heatmap" [1, height, width, K], float32, in logits; null
 *                          for a file without
 * golden                   images ["golden/0.png", …], images_sha256, decoded_sha256, pixels_sha256, probs [G][K],
 *                          tolerance: see {@link Golden}
 * samples                  generated pictures to try: file, title, label ("" where none is known)
 * origin                   bundle, manifest_sha256, source (how it was quantized), network, parameters, macs,
 *                          val_images, val_accuracy, edgekd (version)
 * licence                  of data and weights
 * notice                   "Research demonstration, not a medical device. …": to be shown with every answer
 * </pre>
 */
public final class Model {
    public static final String SCHEMA = "edgekd.app/1";
    private static final double ROUNDING = 1e-9; // of probabilities that are equal on paper, as edgekd's
    private static final int MOST_CLASSES = 100_000;
    private static final int MOST_SAMPLES = 100;
    private static final int MOST_PLACES = 1000;

    public final String name;
    public final String format;
    public final List<String> labelNames;

    /** The labels as people read them. */
    public final List<String> displayNames;

    public final InputContract input;
    public final boolean isInt8;
    public final double temperature;

    /** An answer of less confidence is "not sure". */
    public final double unsureBelow;

    /** Whether answers are sets of classes that may be right: those with 1 - p at most {@link #setQuantile}. */
    public final boolean hasSets;

    public final double setQuantile;

    /** The share of new images for which at most the right class should not be in the set. */
    public final double setAlpha;

    /** Height and width of the model's own heat map; 0 for a model without. */
    public final int heatHeight;

    public final int heatWidth;

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

    /** A generated picture to try the model with. */
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
        displayNames = found.has("display_names")
                ? found.texts("display_names", labelNames.size(), labelNames.size())
                : readable(labelNames);
        input = InputContract.read(found.fields("input"));
        isInt8 = found.oneOf("io", "uint8", "int8").equals("int8");
        temperature = found.number("calibration_temperature", 1e-3, 1e3);
        Fields unsure = found.fields("unsure_below");
        unsureBelow = unsure.number("confidence", 0, 1);
        unsureRule = unsure.text("rule");
        hasSets = found.has("conformal");
        setQuantile = hasSets ? found.fields("conformal").number("quantile", 0, 1) : 1;
        setAlpha = hasSets ? found.fields("conformal").number("alpha", 0, 1) : 0;
        boolean hasMap = found.has("heatmap");
        heatHeight = hasMap ? (int) found.fields("heatmap").whole("height", 1, MOST_PLACES) : 0;
        heatWidth = hasMap ? (int) found.fields("heatmap").whole("width", 1, MOST_PLACES) : 0;
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

    private static List<String> readable(List<String> labelNames) {
        List<String> readable = new ArrayList<>();
        for (String name : labelNames) {
            readable.add(readable(name));
        }
        return Collections.unmodifiableList(readable);
    }

    /** A label of which no name for people is known: underscores and hyphens are spaces. */
    public static String readable(String label) {
        String words = label.replaceAll("[_\\-\\s]+", " ").trim();
        return words.isEmpty() ? label : words;
    }

    /** A label as people read it: of a class's label its name for people, any other as it is. */
    public String displayName(String label) {
        int index = labelNames.indexOf(label);
        return index < 0 ? label : displayNames.get(index);
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

    /** Which classes an answer of these probabilities [K] may be; null where the model has no record of it. */
    boolean[] possible(float[] probs) {
        if (!hasSets) {
            return null;
        }
        boolean[] found = new boolean[probs.length];
        for (int k = 0; k < probs.length; k++) {
            found[k] = 1 - (double) probs[k] <= setQuantile + ROUNDING;
        }
        return found;
    }

    /** An engine for this model, ready to answer. */
    public Session session(Engine engine) throws BadModel {
        long mapBytes = 4L * heatHeight * heatWidth * labelNames.size();
        if (heatHeight > 0 && engine.heatmapBytes() != mapBytes) {
            throw new BadModel("The model file has another heat map than its description: " + engine.heatmapBytes()
                    + " bytes, expected " + mapBytes + ".");
        }
        return new Session(engine, input.size, labelNames.size(), isInt8, temperature);
    }
}
