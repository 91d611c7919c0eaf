package org.edgekd.demo;

import android.content.Context;
import android.os.Handler;
import android.os.Looper;
import android.util.Log;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import org.edgekd.core.BadJob;
import org.edgekd.core.BenchmarkRun;
import org.edgekd.core.Cancelled;
import org.edgekd.core.DeviceFacts;
import org.edgekd.core.DeviceReport;
import org.edgekd.core.Hash;

/**
 * The state of the Benchmark screen, and the run behind it; outlives its activity when the device turns. At the end of
 * every run exactly one line goes to the log, with tag {@link #TAG}: `result RUN_ID PATH SHA256`, or `failed RUN_ID
 * REASON` if there is no file.
 */
final class BenchmarkSession {
    static final String TAG = "edgekd";
    private static final String OWN_TAG = "edgekd-demo"; // the harness reads the other one
    private static final ExecutorService WORKER = Executors.newSingleThreadExecutor(); // one measurement at a time

    /** Told of every change, on the main thread. */
    interface Listener {
        void onChange();
    }

    private final Context context;
    private final Handler main = new Handler(Looper.getMainLooper());
    private AtomicBoolean cancelled = new AtomicBoolean();
    private Listener listener;

    boolean isRunning;

    /** As BenchmarkRun names it; "" before the first. */
    String step = "";

    int done;
    int of;

    /** What was found; null for nothing yet. */
    DeviceReport report;

    String runId = "";

    /** Where it was written; null if it could not be. */
    File file;

    /** What went wrong, for a person; "" for nothing. */
    String message = "";

    BenchmarkSession(Context context) {
        this.context = context.getApplicationContext();
    }

    void setListener(Listener listener) {
        this.listener = listener;
    }

    /** Starts a run; after those that go on. */
    void start(BenchmarkRequest request) {
        AtomicBoolean stop = new AtomicBoolean();
        cancelled = stop;
        isRunning = true;
        step = "";
        of = 0;
        report = null;
        file = null;
        message = "";
        runId = request.runId;
        changed();
        WORKER.execute(() -> run(request, stop));
    }

    /** Stops the run between two inferences. */
    void cancel() {
        cancelled.set(true);
    }

    /** Tells of a request that has no name to answer under. */
    void complain(String problem) {
        message = problem;
        Log.w(OWN_TAG, "refused: " + problem);
        changed();
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

    private void run(BenchmarkRequest request, AtomicBoolean stop) {
        DeviceFacts facts = new AndroidFacts(context);
        try {
            DeviceReport found;
            try {
                found = BenchmarkRun.run(request.job(context), request.xnnpack, TfliteEngine.FACTORY,
                        new AndroidDecoder(), facts, this::progress, stop::get);
            } catch (BadJob e) {
                found = BenchmarkRun.refusal(e, facts);
            }
            save(request.runId, found);
        } catch (Cancelled e) {
            end(request.runId, null, null, "cancelled", context.getString(R.string.cancelled));
        } catch (RuntimeException | OutOfMemoryError e) {
            end(request.runId, null, null, e.toString(), context.getString(R.string.unexpected, e.toString()));
        }
    }

    private void progress(String now, int parts, int all) {
        post(() -> {
            step = now;
            done = parts;
            of = all;
        });
    }

    private void save(String id, DeviceReport found) {
        byte[] content = found.json().getBytes(StandardCharsets.UTF_8);
        File files = context.getExternalFilesDir(null);
        try {
            if (files == null) {
                throw new IOException(context.getString(R.string.no_storage));
            }
            File written = ReportFile.write(ReportFile.folder(files), id, content);
            Log.i(TAG, "result " + id + " " + written.getAbsolutePath() + " " + Hash.sha256(content));
            post(() -> {
                report = found;
                file = written;
                isRunning = false;
            });
        } catch (IOException e) {
            end(id, found, e, e.getMessage(), context.getString(R.string.not_saved, e.getMessage()));
        }
    }

    private void end(String id, DeviceReport found, Throwable cause, String reason, String shown) {
        Log.i(TAG, "failed " + id + " " + String.valueOf(reason).replaceAll("\\s+", " "));
        if (cause != null) {
            Log.w(OWN_TAG, cause);
        }
        post(() -> {
            report = found;
            message = shown;
            isRunning = false;
        });
    }
}
