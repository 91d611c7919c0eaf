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
import org.edgekd.core.ModelStore;
import org.edgekd.core.Session;

/** The model that the app answers with, loaded: the one in its assets, or one that a person imported. */
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

    /** The model that a person imported, if any. */
    static ModelStore store(Context context) {
        return new ModelStore(new File(context.getFilesDir(), "models"));
    }

    /** Changes when another model takes the place; "" for the one in the assets. */
    static String place(Context context) {
        File folder = store(context).current();
        return folder == null ? "" : folder.getName();
    }

    static JobFiles files(Context context) {
        File folder = store(context).current();
        return folder == null ? new AssetFiles(context.getAssets()) : new FolderFiles(folder);
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
