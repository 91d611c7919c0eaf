package org.edgekd.demo;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.edgekd.core.Cancel;
import org.edgekd.core.Json;

/** The app's own model as a zip that a person brings, whole or spoilt. */
final class Zips {
    private static final String[] NAMES = {"model.tflite", "golden/0.png", "golden/1.png", "golden/2.png", "golden/3.png",
        "model.json"};

    private Zips() {}

    /** Name to content, as `python -m edgekd.embed --zip` writes them. */
    static Map<String, byte[]> files() throws IOException {
        Map<String, byte[]> files = new LinkedHashMap<>();
        for (String name : NAMES) {
            try (InputStream in = Phone.context().getAssets().open(name)) {
                files.put(name, Bytes.read(in, 1 << 24, () -> false));
            }
        }
        return files;
    }

    /** The description with one other value. */
    static byte[] described(String key, Object value) throws Exception {
        @SuppressWarnings("unchecked") // an object has text as its keys
        Map<String, Object> read = (Map<String, Object>) Json.parse(files().get("model.json"));
        Map<String, Object> found = new LinkedHashMap<>(read);
        found.put(key, value);
        return Json.write(found).getBytes(StandardCharsets.UTF_8);
    }

    static byte[] zip(Map<String, byte[]> files) throws IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        try (ZipOutputStream out = new ZipOutputStream(content)) {
            for (Map.Entry<String, byte[]> file : files.entrySet()) {
                out.putNextEntry(new ZipEntry(file.getKey()));
                out.write(file.getValue());
            }
        }
        return content.toByteArray();
    }

    /** The zip of the app's model with one other value in its description. */
    static byte[] with(String key, Object value) throws Exception {
        Map<String, byte[]> files = files();
        files.put("model.json", described(key, value));
        return zip(files);
    }

    /** Takes such a model, as its screen does. */
    static void take(String key, Object value) throws Exception {
        InputStream zip = new ByteArrayInputStream(with(key, value));
        EmbeddedModel.store(Phone.context()).take(zip, TfliteEngine.FACTORY, new AndroidDecoder(), Cancel.NEVER);
    }
}
