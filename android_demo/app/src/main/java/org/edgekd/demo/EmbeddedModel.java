package org.edgekd.demo;

import android.content.Context;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import org.edgekd.core.BadModel;
import org.edgekd.core.Classifier;
import org.edgekd.core.Engine;
import org.edgekd.core.EngineException;
import org.edgekd.core.FolderFiles;
import org.edgekd.core.JobFiles;
import org.edgekd.core.Model;
import org.edgekd.core.Session;

/**
 * The model that the app answers with, loaded: the one in its assets, or one that was put into the folder "model" of
 * the app's files on the device (model.tflite, model.json and golden/ as `python -m edgekd.embed` writes them).
 */
final class EmbeddedModel implements AutoCloseable {
    private static final String DESCRIPTION = "model.json";
    private static final int LARGEST_DESCRIPTION = 16 << 20;

    final Model model;
    final Engine engine;
    final Classifier classifier;
    final Session session;

    private EmbeddedModel(Model model, Engine engine) throws BadModel {
        this.model = model;
        this.engine = engine;
        classifier = new Classifier(model, engine);
        session = model.session(engine);
    }

    /** Where a model of the person's own is looked for; null where the device has no such storage now. */
    static File ownFolder(Context context) {
        File files = context.getExternalFilesDir(null);
        return files == null ? null : new File(files, "model");
    }

    static boolean isOwn(Context context) {
        File folder = ownFolder(context);
        return folder != null && new File(folder, DESCRIPTION).isFile();
    }

    static JobFiles files(Context context) {
        return isOwn(context) ? new FolderFiles(ownFolder(context)) : new AssetFiles(context.getAssets());
    }

    /** The description, checked against the file. */
    static Model read(JobFiles files) throws BadModel {
        try {
            byte[] json = description(files);
            return Model.read(json, files.map(Model.describedBy(json).file));
        } catch (IOException e) {
            throw new BadModel("The model can't be read: " + e.getMessage(), e);
        }
    }

    /** Reads, checks and loads; to be closed. */
    static EmbeddedModel load(JobFiles files, int threads) throws BadModel, EngineException {
        try {
            byte[] json = description(files);
            ByteBuffer file = files.map(Model.describedBy(json).file);
            Model model = Model.read(json, file);
            Engine engine = TfliteEngine.FACTORY.open(file, threads, true);
            try {
                return new EmbeddedModel(model, engine);
            } catch (BadModel e) {
                engine.close();
                throw e;
            }
        } catch (IOException e) {
            throw new BadModel("The model can't be read: " + e.getMessage(), e);
        }
    }

    private static byte[] description(JobFiles files) throws IOException {
        try (InputStream in = files.open(DESCRIPTION)) {
            return Bytes.read(in, LARGEST_DESCRIPTION, () -> false);
        }
    }

    @Override
    public void close() {
        engine.close();
    }
}
