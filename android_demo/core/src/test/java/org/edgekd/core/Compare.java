package org.edgekd.core;

import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;

/**
 * What Python's tests (tests/android/test_core.py) compare with Python: the core on files that they wrote. Reads requests
 * from stdin, one a line, and answers each with one line of JSON, or "! " and what went wrong.
 *
 * <pre>
 * pixels FOLDER   cases.json, images.bin -> pixels.bin: all resized images, one after another
 * numbers FOLDER  cases.json {samples, logits, scale, temperature} -> numbers.json
 * json FILE       the text read and written again
 * model ASSETS    what Model reads
 * job FOLDER      runs the job on Fakes.MeanEngine: the document
 * log FILE        what FieldScores makes of a field log, and the rows that would be shared
 * import FOLDER   model.zip taken into models/ on Fakes.MeanEngine of 3 classes: the model's name and files
 * </pre>
 */
final class Compare {
    private Compare() {}

    public static void main(String[] arguments) throws Exception {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            int space = line.indexOf(' ');
            String answer;
            try {
                answer = answer(line.substring(0, space), Paths.get(line.substring(space + 1)));
            } catch (Exception | Error e) {
                answer = "! " + e;
            }
            System.out.println(answer.replace('\n', ' '));
        }
    }

    private static String answer(String what, Path path) throws Exception {
        switch (what) {
            case "pixels":
                pixels(path);
                return "null";
            case "numbers":
                numbers(path);
                return "null";
            case "json":
                return Json.write(Json.parse(Files.readAllBytes(path)));
            case "model":
                return model(path);
            case "job":
                return job(path.toFile());
            case "log":
                return log(path.toFile());
            case "import":
                return taken(path);
            default:
                throw new IllegalArgumentException(what);
        }
    }

    private static Fields cases(Path folder) throws IOException, BadJson {
        return Fields.of(Json.parse(Files.readAllBytes(folder.resolve("cases.json"))), "cases");
    }

    private static void pixels(Path folder) throws Exception {
        ByteBuffer images = ByteBuffer.wrap(Files.readAllBytes(folder.resolve("images.bin")));
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(folder.resolve("pixels.bin")))) {
            for (Fields each : cases(folder).objects("cases", 1, 10_000)) {
                int width = (int) each.whole("width", 1, 1 << 20);
                int height = (int) each.whole("height", 1, 1 << 20);
                byte[] data = new byte[3 * width * height];
                images.get(data);
                Rgb image = new Rgb(width, height, data);
                if (each.has("input")) {
                    out.write(Preprocess.pixels(image, InputContract.read(each.fields("input"))));
                    continue;
                }
                Kernel kernel = Kernel.valueOf(each.text("kernel").toUpperCase(java.util.Locale.ROOT));
                int[] size = each.wholes("size", 2, 1, 1 << 20);
                out.write(Resize.resize(image, size[0], size[1], kernel).data);
            }
        }
    }

    private static void numbers(Path folder) throws Exception {
        Fields cases = cases(folder);
        List<Object> summaries = new ArrayList<>();
        for (Fields each : cases.objects("samples", 1, 1000)) {
            int count = (int) each.whole("count", 1, 10_000);
            Statistics found = Statistics.of(each.numbers("times", count, 0, 1e9));
            summaries.add(new double[] {found.count, found.median, found.p90, found.p99, found.mean, found.std});
        }
        int rows = (int) cases.whole("rows", 1, 10_000);
        int columns = (int) cases.whole("columns", 1, 10_000);
        double scale = cases.number("scale", 0, 1);
        double temperature = cases.number("temperature", 0, 100);
        List<Object> probs = new ArrayList<>();
        for (double[] codes : cases.table("codes", rows, columns, -128, 127)) {
            double[] logits = new double[columns];
            for (int k = 0; k < columns; k++) {
                logits[k] = codes[k] * (double) (float) scale;
            }
            double[] row = new double[columns];
            float[] found = Session.softmax(logits, temperature);
            for (int k = 0; k < columns; k++) {
                row[k] = found[k];
            }
            probs.add(row);
        }
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("summaries", summaries);
        found.put("probs", probs);
        Files.write(folder.resolve("numbers.json"), Json.write(found).getBytes(StandardCharsets.UTF_8));
    }

    private static String model(Path assets) throws Exception {
        FolderFiles files = new FolderFiles(assets.toFile());
        Model model = Model.read(Files.readAllBytes(assets.resolve("model.json")), files.map("model.tflite"));
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("name", model.name);
        found.put("label_names", model.labelNames);
        found.put("display_names", model.displayNames);
        found.put("unsure_below", model.unsureBelow);
        found.put("heatmap", new double[] {model.heatHeight, model.heatWidth});
        found.put("has_sets", model.hasSets);
        found.put("licence", model.licence);
        found.put("notice", model.notice);
        List<Object> pixels = new ArrayList<>();
        for (String name : model.golden.images) {
            byte[] content = Files.readAllBytes(assets.resolve(name));
            pixels.add(Hash.sha256(Preprocess.pixels(decode(content), model.input)));
        }
        found.put("pixels_sha256", pixels);
        return Json.write(found);
    }

    private static String job(File folder) throws Cancelled {
        DeviceFacts device = new Fakes.Device();
        try {
            Job job = Job.read(folder);
            Engine engine = new Fakes.MeanEngine(job.input.size, job.labelNames.size(), job.isInt8);
            EngineFactory engines = new Fakes.OneEngine(engine);
            return BenchmarkRun.run(job, true, engines, Compare::decode, device, Progress.NONE, Cancel.NEVER).json();
        } catch (BadJob e) {
            return BenchmarkRun.refusal(e, device).json();
        }
    }

    private static String log(File file) throws IOException {
        FieldLog.Content content = new FieldLog(file).read();
        List<Object> models = new ArrayList<>();
        for (FieldScores scores : FieldScores.byModel(content.entries)) {
            Map<String, Object> found = new LinkedHashMap<>();
            found.put("model_sha256", scores.modelSha256);
            found.put("accuracy", numbers(scores.accuracy));
            found.put("unsure", numbers(scores.unsure));
            found.put("sure_accuracy", numbers(scores.sureAccuracy));
            found.put("set_coverage", numbers(scores.setCoverage));
            found.put("ece", scores.ece);
            List<Object> bins = new ArrayList<>();
            for (FieldScores.Bin bin : scores.bins) {
                int count = bin.accuracy == null ? 0 : bin.accuracy.of;
                double accuracy = bin.accuracy == null ? 0 : bin.accuracy.share();
                bins.add(new double[] {bin.low, bin.high, count, bin.confidence, accuracy});
            }
            found.put("bins", bins);
            List<Object> classes = new ArrayList<>();
            for (FieldScores.ByClass each : scores.classes) {
                classes.add(java.util.Arrays.asList(each.labelName, numbers(each.recall), numbers(each.precision)));
            }
            found.put("classes", classes);
            models.add(found);
        }
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("models", models);
        found.put("damaged", content.damaged);
        found.put("csv", new String(content.csv(), StandardCharsets.UTF_8));
        return Json.write(found);
    }

    private static double[] numbers(Proportion found) {
        return found == null ? null : new double[] {found.count, found.of, found.low, found.high};
    }

    private static String taken(Path folder) throws Exception {
        ModelStore store = new ModelStore(folder.resolve("models").toFile());
        Model described;
        try (java.io.InputStream zip = Files.newInputStream(folder.resolve("model.zip"))) {
            EngineFactory engines = new Fakes.OneEngine(new Fakes.MeanEngine(16, 3, false));
            described = store.take(zip, engines, Compare::decode, Cancel.NEVER);
        } catch (CoreException e) {
            return Json.write(java.util.Collections.singletonMap("refused", e.getMessage()));
        }
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("name", described.name);
        found.put("display_names", described.displayNames);
        found.put("folder", store.current().getPath());
        return Json.write(found);
    }

    /** Samples as they are in the file: Java would convert grey between colour spaces. */
    private static Rgb decode(byte[] file) throws BadImage {
        BufferedImage image;
        try {
            image = ImageIO.read(new ByteArrayInputStream(file));
        } catch (IOException e) {
            throw new BadImage("It cannot be decoded.", e);
        }
        if (image == null) {
            throw new BadImage("It is no image.");
        }
        Raster raster = image.getRaster();
        int bands = raster.getNumBands();
        byte[] data = new byte[3 * image.getWidth() * image.getHeight()];
        for (int at = 0, pixel = 0; at < data.length; at += 3, pixel++) {
            int[] samples = raster.getPixel(pixel % image.getWidth(), pixel / image.getWidth(), (int[]) null);
            for (int c = 0; c < 3; c++) {
                data[at + c] = (byte) samples[bands < 3 ? 0 : c];
            }
        }
        return new Rgb(image.getWidth(), image.getHeight(), data);
    }
}
