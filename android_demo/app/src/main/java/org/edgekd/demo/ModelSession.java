package org.edgekd.demo;

import android.content.Context;
import android.net.Uri;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import org.edgekd.core.BadModel;
import org.edgekd.core.Cancelled;
import org.edgekd.core.CoreException;
import org.edgekd.core.Model;

/** Which model answers, and the import of another, on a thread of its own; outlives its activity when the device turns. */
final class ModelSession extends ScreenSession {
    private final Context context;
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private AtomicBoolean cancelled = new AtomicBoolean();

    /** What answers now; null before it is read, or if it cannot be. */
    Model model;

    boolean isImported;
    boolean isBusy;

    /** What went well, for a person; "" for nothing. */
    String success = "";

    ModelSession(Context context) {
        this.context = context.getApplicationContext();
        worker.execute(this::read);
    }

    /** Checks a zip and takes its model; whatever goes wrong, the model of now stays. */
    void take(Uri zip) {
        AtomicBoolean stop = begin();
        worker.execute(() -> {
            try (InputStream in = open(zip)) {
                Model taken = EmbeddedModel.store(context)
                        .take(in, TfliteEngine.FACTORY, new AndroidDecoder(), stop::get);
                end(context.getString(R.string.model_taken, taken.golden.images.size()), "");
            } catch (Cancelled e) {
                end("", context.getString(R.string.cancelled));
            } catch (CoreException e) {
                end("", context.getString(R.string.model_refused, e.getMessage()));
            } catch (IOException | RuntimeException | OutOfMemoryError e) { // providers throw what they like
                end("", context.getString(R.string.model_refused, String.valueOf(e)));
            }
        });
    }

    private InputStream open(Uri zip) throws IOException {
        InputStream in = context.getContentResolver().openInputStream(zip);
        if (in == null) {
            throw new IOException("nothing there");
        }
        return in;
    }

    /** Goes back to the model of the app. */
    void forget() {
        begin();
        worker.execute(() -> {
            try {
                EmbeddedModel.store(context).forget();
                end(context.getString(R.string.model_forgotten), "");
            } catch (IOException e) {
                end("", String.valueOf(e));
            }
        });
    }

    /** Stops the import. */
    void cancel() {
        cancelled.set(true);
    }

    @Override
    void close() {
        super.close();
        cancel();
        worker.shutdown();
    }

    private AtomicBoolean begin() {
        cancelled = new AtomicBoolean();
        isBusy = true;
        success = "";
        message = "";
        changed();
        return cancelled;
    }

    // --- The worker's part -------------------------------------------------------------------------------------------

    private void end(String good, String bad) {
        read();
        post(() -> {
            isBusy = false;
            success = good;
            message = bad.isEmpty() ? message : bad;
        });
    }

    private void read() {
        boolean own = !EmbeddedModel.place(context).isEmpty();
        try {
            Model found = EmbeddedModel.read(EmbeddedModel.files(context));
            post(() -> {
                model = found;
                isImported = own;
            });
        } catch (BadModel e) {
            post(() -> {
                model = null;
                isImported = own;
                message = e.getMessage();
            });
        }
    }
}
