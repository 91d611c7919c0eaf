package org.edgekd.core;

import java.io.EOFException;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.zip.ZipException;

/**
 * The model that a person brought, in place of the one that the app carries. Each lies in a folder of its own, and a file
 * names the one that counts: it is replaced as the last act, by renaming, so that there is the old model or the new one.
 */
public final class ModelStore {
    static final long MOST_BYTES = 256L << 20;
    private static final Object LOCK = new Object();
    private static final String CURRENT = "current";
    private static final String NEW = "new";

    private final File root;

    public ModelStore(File root) {
        this.root = root;
    }

    /** The folder of the model that was brought; null for none. */
    public File current() {
        try (InputStream in = new FileInputStream(new File(root, CURRENT))) {
            byte[] found = new byte[100];
            int count = in.read(found);
            String name = count < 1 ? "" : new String(found, 0, count, StandardCharsets.US_ASCII);
            File folder = new File(root, name);
            return name.matches("[0-9a-f]{64}(-[0-9]{1,9})?") && folder.isDirectory() ? folder : null;
        } catch (IOException e) {
            return null;
        }
    }

    /**
     * Checks the model in a zip, runs it on its golden images, and only then takes it.
     *
     * @throws CoreException for a zip or model that is refused; the message is for a person. Nothing has changed then
     */
    public Model take(InputStream zip, EngineFactory engines, Decoder decoder, Cancel cancel)
            throws CoreException, IOException, Cancelled {
        synchronized (LOCK) {
            File now = current();
            clean(now);
            File fresh = new File(root, NEW);
            if (!fresh.mkdirs()) {
                throw new IOException("no folder " + fresh);
            }
            try {
                ModelArchive archive = new ModelArchive(fresh, MOST_BYTES, cancel);
                Model model = archive.unpack(zip);
                archive.replay(model, engines, decoder);
                File home = home(new FolderFiles(fresh));
                if (!fresh.renameTo(home)) {
                    throw new IOException(home + " can't be written");
                }
                point(home.getName());
                return model;
            } catch (ZipException | EOFException e) {
                throw new BadModel("The zip is damaged or ends too early.", e);
            } finally {
                clean(current());
            }
        }
    }

    /** A name that is not taken, by the description, which has the hashes of all other files. */
    private File home(JobFiles files) throws IOException {
        String id;
        try (InputStream description = files.open(ModelArchive.DESCRIPTION)) {
            id = Hash.sha256(description);
        }
        File home = new File(root, id);
        for (int again = 2; home.exists(); again++) {
            home = new File(root, id + "-" + again);
        }
        return home;
    }

    private void point(String name) throws IOException {
        File part = new File(root, CURRENT + ".part");
        try (FileOutputStream out = new FileOutputStream(part)) {
            out.write(name.getBytes(StandardCharsets.US_ASCII));
            out.getFD().sync();
        }
        if (!part.renameTo(new File(root, CURRENT))) {
            throw new IOException(part + " can't be renamed");
        }
    }

    /** Goes back to the model that the app carries. */
    public void forget() throws IOException {
        synchronized (LOCK) {
            File pointer = new File(root, CURRENT);
            if (pointer.exists() && !pointer.delete()) {
                throw new IOException(pointer + " can't be deleted");
            }
            clean(null);
        }
    }

    /** Removes what no longer counts, or never did. */
    private void clean(File kept) {
        File[] found = root.listFiles();
        for (File each : found == null ? new File[0] : found) {
            if (!each.getName().equals(CURRENT) && !each.equals(kept)) {
                delete(each);
            }
        }
    }

    private static void delete(File file) {
        File[] inside = file.listFiles();
        for (File each : inside == null ? new File[0] : inside) {
            delete(each);
        }
        file.delete(); // what stays is tried again at the next time
    }
}
