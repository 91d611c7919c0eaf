package org.edgekd.core;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/**
 * A model in one zip, as `python -m edgekd.embed BUNDLE --zip FILE` writes it: model.json, the model's file and its golden
 * images, nothing else. Such a file may come from anyone. It is read once from front to back, and trusted no further than
 * the hashes in model.json reach; whether the model answers as it must on this device, {@link #replay} tells.
 */
final class ModelArchive {
    static final String DESCRIPTION = "model.json";
    private static final String NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}";
    private static final int MOST_ENTRIES = 1100;

    private final File folder;
    private final long mostBytes;
    private final Cancel cancel;

    /** Files go into `folder`, which is there and empty; of more than `mostBytes` in all the zip is refused. */
    ModelArchive(File folder, long mostBytes, Cancel cancel) {
        this.folder = folder;
        this.mostBytes = mostBytes;
        this.cancel = cancel;
    }

    /**
     * Unpacks a zip and checks all that can be checked without running the model.
     *
     * @throws BadModel for what is no such zip: another name, too much, too little, another schema or hash
     * @throws IOException for a zip that cannot be read, or a disk that is full
     */
    Model unpack(InputStream zip) throws BadModel, IOException, Cancelled {
        Set<String> names = new LinkedHashSet<>();
        Set<String> folded = new HashSet<>(); // so that no file system takes two names for one
        long bytes = 0;
        int entries = 0;
        try (ZipInputStream in = new ZipInputStream(zip)) {
            for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                String name = entry.getName();
                if (++entries > MOST_ENTRIES) {
                    throw new BadModel("The zip has more than " + MOST_ENTRIES + " files.");
                }
                if (name.matches(NAME + "/")) {
                    continue; // the folder comes with its files
                }
                if (!name.matches("(" + NAME + "/)?" + NAME)) {
                    throw new BadModel("The zip has a file of a name that no model's file has: " + shown(name) + ".");
                }
                if (!folded.add(name.toLowerCase(Locale.ROOT))) {
                    throw new BadModel("The zip has " + name + " twice.");
                }
                names.add(name);
                bytes += unpack(in, name, mostBytes - bytes);
            }
        } catch (IllegalArgumentException e) { // a name that is no UTF-8
            throw new BadModel("The zip is damaged.", e);
        }
        return check(names);
    }

    private long unpack(InputStream in, String name, long most) throws BadModel, IOException, Cancelled {
        File file = new File(folder, name);
        File parent = file.getParentFile();
        if (!parent.isDirectory() && !parent.mkdir()) {
            throw new BadModel("The zip has " + parent.getName() + " as a file and as a folder.");
        }
        if (file.exists()) {
            throw new BadModel("The zip has " + name + " as a file and as a folder.");
        }
        long bytes = 0;
        byte[] piece = new byte[1 << 16];
        try (FileOutputStream out = new FileOutputStream(file)) {
            for (int count = in.read(piece); count >= 0; count = in.read(piece)) {
                bytes += count;
                if (bytes > most) {
                    throw new BadModel("The files in the zip have more than " + (mostBytes >> 20) + " MiB.");
                }
                if (cancel.isCancelled()) {
                    throw new Cancelled();
                }
                out.write(piece, 0, count);
            }
            out.getFD().sync();
        }
        return bytes;
    }

    private Model check(Set<String> names) throws BadModel, IOException {
        if (!names.contains(DESCRIPTION)) {
            throw new BadModel("This is no zip with a model: there is no model.json in it.");
        }
        JobFiles files = new FolderFiles(folder);
        if (new File(folder, DESCRIPTION).length() > Json.MAX_BYTES) {
            throw new BadModel("model.json has more than " + Json.MAX_BYTES + " bytes.");
        }
        byte[] json = Job.content(files, DESCRIPTION, Json.MAX_BYTES);
        Model described = Model.describedBy(json);
        Set<String> wanted = new LinkedHashSet<>(described.golden.images);
        for (Model.Sample sample : described.samples) {
            if (!wanted.contains(sample.file)) {
                throw new BadModel("model.json gives no hash of the sample " + shown(sample.file) + ".");
            }
        }
        wanted.add(described.file);
        wanted.add(DESCRIPTION);
        for (String name : wanted) {
            if (!names.contains(name)) {
                throw new BadModel("The zip lacks " + shown(name) + ".");
            }
        }
        for (String name : names) {
            if (!wanted.contains(name)) {
                throw new BadModel("The zip has a file that model.json does not name: " + shown(name) + ".");
            }
        }
        Model model = Model.read(json, files.map(described.file));
        for (int i = 0; i < model.golden.images.size(); i++) {
            try (InputStream image = files.open(model.golden.images.get(i))) {
                if (!Hash.sha256(image).equals(model.goldenSha256.get(i))) {
                    throw new BadModel(model.golden.images.get(i) + " is not the file that model.json describes.");
                }
            }
        }
        return model;
    }

    /**
     * Runs the unpacked model on its golden images.
     *
     * @throws CoreException if this device decodes, resizes or answers one of them otherwise than where it was verified
     */
    void replay(Model model, EngineFactory engines, Decoder decoder) throws CoreException, IOException, Cancelled {
        JobFiles files = new FolderFiles(folder);
        GoldenReplay replay = new GoldenReplay(Job.embedded(model, files, 1, null), decoder);
        replay.input();
        ByteBuffer file = files.map(model.file);
        try (Engine engine = engines.open(file, 1, true)) {
            Session session = model.session(engine);
            List<float[]> found = new ArrayList<>();
            for (byte[] pixels : replay.pixels) {
                if (cancel.isCancelled()) {
                    throw new Cancelled();
                }
                found.add(session.probs(pixels));
            }
            replay.output(found);
        }
    }

    private static String shown(String name) {
        String text = name.replaceAll("[^ -~]", "?");
        return text.length() > 80 ? text.substring(0, 80) + "…" : text;
    }
}
