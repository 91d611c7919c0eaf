package org.edgekd.demo;

import android.content.Context;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.edgekd.core.Hash;
import org.edgekd.core.Json;
import org.edgekd.core.Model;
import org.edgekd.core.Preprocess;

/** Folders with a job, of the app's own model. */
final class Jobs {
    private final Context context;

    Jobs(Context context) {
        this.context = context;
    }

    File write(String name, int answers) throws Exception {
        return write(name, answers, 0);
    }

    /**
     * A job in the app's own files.
     *
     * @param answers how many of the golden images are asked for as test images; 0 for no test
     * @param change added to the first expected probability
     */
    File write(String name, int answers, double change) throws Exception {
        File folder = new File(context.getFilesDir(), "jobs/" + name);
        Map<String, Object> files = new LinkedHashMap<>();
        put(folder, files, "model.tflite", asset("model.tflite"));
        Model model = EmbeddedModel.read(new AssetFiles(context.getAssets()));
        ByteArrayOutputStream pixels = new ByteArrayOutputStream();
        List<Object> probs = new ArrayList<>();
        for (int i = 0; i < model.golden.images.size(); i++) {
            byte[] image = asset(model.golden.images.get(i));
            put(folder, files, model.golden.images.get(i), image);
            pixels.write(Preprocess.pixels(new AndroidDecoder().decode(image), model.input));
            List<Object> row = new ArrayList<>();
            for (double p : model.golden.probs(i)) {
                row.add(row.isEmpty() && i == 0 ? (p < 0.5 ? p + change : p - change) : p);
            }
            probs.add(row);
        }
        put(folder, files, "pixels.npy", npy(pixels.toByteArray(), model.golden.images.size(), model.input.size));
        Map<String, Object> job = new LinkedHashMap<>();
        job.put("schema", "edgekd.job/1");
        job.put("key", "row-7");
        job.put("round", 2);
        job.put("provenance", "hardware");
        job.put("format", "tflite-int8");
        job.put("runtime", "tflite");
        job.put("files", files);
        job.put("input", ((Map<?, ?>) Json.parse(asset("model.json"))).get("input"));
        job.put("label_names", model.labelNames);
        job.put("io", "uint8");
        job.put("calibration_temperature", 1.0);
        job.put("golden", golden(model, probs));
        if (answers > 0) {
            Map<String, Object> test = new LinkedHashMap<>();
            test.put("pixels", "pixels.npy");
            List<Object> indices = new ArrayList<>();
            for (int i = answers - 1; i >= 0; i--) {
                indices.add(i);
            }
            test.put("indices", indices);
            job.put("test", test);
        }
        Map<String, Object> timing = new LinkedHashMap<>();
        timing.put("warmup_runs", 2);
        timing.put("min_runs", 12);
        timing.put("min_seconds", 5.0);
        timing.put("sustained_s", 0.0);
        job.put("timing", timing);
        job.put("threads", 1);
        job.put("cpus", new ArrayList<>());
        Files.write(new File(folder, "job.json").toPath(), Json.write(job).getBytes(StandardCharsets.UTF_8));
        return folder;
    }

    private static Map<String, Object> golden(Model model, List<Object> probs) {
        Map<String, Object> golden = new LinkedHashMap<>();
        golden.put("images", model.golden.images);
        golden.put("decoded_sha256", model.golden.decodedSha256);
        golden.put("pixels", "pixels.npy");
        golden.put("probs", probs);
        golden.put("tolerance", model.golden.tolerance);
        return golden;
    }

    private byte[] asset(String name) throws Exception {
        try (InputStream in = context.getAssets().open(name)) {
            return Bytes.read(in, 1 << 30, () -> false);
        }
    }

    private static void put(File folder, Map<String, Object> files, String name, byte[] content) throws Exception {
        File file = new File(folder, name);
        Files.createDirectories(file.getParentFile().toPath());
        Files.write(file.toPath(), content);
        Map<String, Object> record = new LinkedHashMap<>();
        record.put("sha256", Hash.sha256(content));
        record.put("size_bytes", content.length);
        files.put(name, record);
    }

    private static byte[] npy(byte[] data, int rows, int size) {
        String shape = "(" + rows + ", " + size + ", " + size + ", 3)";
        String head = "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }";
        StringBuilder text = new StringBuilder(head);
        while ((10 + text.length() + 1) % 64 != 0) {
            text.append(' ');
        }
        text.append('\n');
        byte[] found = new byte[10 + text.length() + data.length];
        byte[] magic = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (byte) text.length(), (byte) (text.length() >> 8)};
        System.arraycopy(magic, 0, found, 0, 10);
        System.arraycopy(text.toString().getBytes(StandardCharsets.ISO_8859_1), 0, found, 10, text.length());
        System.arraycopy(data, 0, found, 10 + text.length(), data.length);
        return found;
    }
}
