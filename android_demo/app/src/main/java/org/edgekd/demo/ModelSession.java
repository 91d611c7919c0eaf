package org.edgekd.demo;

import android.content.Context;
import android.net.Uri;
import android.os.Handler;
import android.os.Looper;
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
final class ModelSession {
    /** Told of every change, on the main thread. */
    interface Listener {
        void onChange();
    }

    private final Context context;
    private final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private AtomicBoolean cancelled = new AtomicBoolean();
    private Listener listener;

    /** What answers now; null before it is read, or if it cannot be. */
    Model model;

    boolean isImported;
    boolean isBusy;

    /** What went well, for a person; "" for nothing. */
    String success = "";

    /** What went wrong, for a person; "" for nothing. */
    String message = "";

    ModelSession(Context context) {
        this.context = context.getApplicationContext();
        worker.execute(this::read);
    }

    void setListener(Listener listener) {
        this.listener = listener;
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

    /** Tells of a problem. */
    void complain(String problem) {
        message = problem;
        changed();
    }

    void close() {
        listener = null;
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

    private void changed() {
        if (listener != null) {
            listener.onChange();
        }
    }

    private void post(Runnable change) {
        main.post(() -> {
            change.run();
            changed();
        });
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
