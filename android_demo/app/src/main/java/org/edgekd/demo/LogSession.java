package org.edgekd.demo;

import android.content.Context;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.edgekd.core.BadModel;
import org.edgekd.core.FieldLog;
import org.edgekd.core.FieldScores;
import org.edgekd.core.Model;

/** The field log and what is done with it, on a thread of its own; outlives its activity when the device turns. */
final class LogSession extends ScreenSession {
    private final Context context;
    private final ExecutorService worker = Executors.newSingleThreadExecutor();

    /** By model, the last marked first; null before they are read. */
    List<FieldScores> scores;

    /** Marked answers. */
    int entries;

    /** Rows that cannot be read. */
    int damaged;

    /** What is loaded now, of which names for people are known; null for none. */
    private Model model;

    /** The file to be shared, once it is written; taken by the activity. */
    File shared;

    LogSession(Context context) {
        this.context = context.getApplicationContext();
    }

    /** The log of this device, in storage that no other app reads. */
    static FieldLog log(Context context) {
        return new FieldLog(new File(context.getFilesDir(), "field-log/log.csv"));
    }

    /** Reads the log again. */
    void read() {
        worker.execute(() -> {
            try {
                Model now = now();
                post(() -> model = now);
                show(log(context).read());
            } catch (IOException | RuntimeException e) {
                post(() -> message = context.getString(R.string.log_problem, e.getMessage()));
            }
        });
    }

    private Model now() {
        try {
            return EmbeddedModel.read(EmbeddedModel.files(context));
        } catch (BadModel e) {
            return null; // its own screen tells why
        }
    }

    /** The name for people of a label that is in the log. */
    String displayName(FieldScores of, String label) {
        boolean isThis = model != null && model.sha256.equals(of.modelSha256);
        return isThis ? model.displayName(label) : Model.readable(label);
    }

    private void show(FieldLog.Content content) {
        List<FieldScores> found = new ArrayList<>(FieldScores.byModel(content.entries));
        java.util.Collections.reverse(found);
        post(() -> {
            scores = found;
            entries = content.entries.size();
            damaged = content.damaged;
            message = "";
        });
    }

    /** Writes the rows that hold into a file to be shared. */
    void share() {
        worker.execute(() -> {
            try {
                File file = SharedFile.write(context, SharedFile.LOG, log(context).read().csv());
                post(() -> shared = file);
            } catch (IOException | RuntimeException e) {
                post(() -> message = context.getString(R.string.not_shared, e.getMessage()));
            }
        });
    }

    /** Forgets all marks, and the file that was shared. */
    void clear() {
        worker.execute(() -> {
            try {
                new File(SharedFile.folder(context), SharedFile.LOG).delete();
                log(context).clear();
                show(log(context).read());
            } catch (IOException e) {
                post(() -> message = context.getString(R.string.log_problem, e.getMessage()));
            }
        });
    }

    @Override
    void close() {
        super.close();
        worker.shutdown();
    }

}
