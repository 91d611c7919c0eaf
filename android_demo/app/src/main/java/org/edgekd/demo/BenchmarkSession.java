package org.edgekd.demo;

import android.content.Context;
import android.os.Looper;
import android.util.Log;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
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
 *
 * <p>A run begins when its screen is in front and lit, and fails when that is over: Android gives other apps fewer and slower
 * processors. Nothing moves on the screen meanwhile, and each step is drawn before it begins.
 */
final class BenchmarkSession extends ScreenSession {
    static final String TAG = "edgekd";
    private static final String OWN_TAG = "edgekd-demo"; // the harness reads the other one
    private static final String CANCELLED = "cancelled";
    private static final String LEFT = "its screen was left or went dark: times would not hold";
    private static final String BUSY = "another run is under way";
    private static final long START_MS = 500; // for what Android does around the start of a screen
    private static final long FRAME_MS = 50; // for what is drawn after the main thread is through
    private static final long STILL_S = 2; // how long a screen may take until it is still

    /** One measurement at a time; one more may wait for one that is being stopped. The name tells its threads (Linux). */
    private static final Executor WORKER = new ThreadPoolExecutor(
            1, 1, 0, TimeUnit.SECONDS, new ArrayBlockingQueue<>(1), work -> new Thread(work, "edgekd-measure"));

    private final Context context;
    private AtomicReference<String> why = new AtomicReference<>(); // a run ends before its end; null: it does not
    private BenchmarkRequest waiting; // for the screen; null for none
    private boolean isInFront;
    private boolean wasStill; // the worker's
    private String lastStep = ""; // the worker's

    boolean isRunning;

    /** As BenchmarkRun names it; "" before the first. */
    String step = "";

    int done;
    int of;

    /** What was found; null for nothing yet. */
    DeviceReport report;

    String runId = "";

    /** Where it was written, in the app's own storage; null if it could not be. */
    File file;

    /** Where the shell reads it; null for a run that a person began. */
    String handedOver;

    BenchmarkSession(Context context) {
        this.context = context.getApplicationContext();
    }

    /** Starts a run as soon as the screen is in front; refused while another goes on. */
    void start(BenchmarkRequest request) {
        if (isRunning) {
            Log.i(TAG, "failed " + request.runId + " " + BUSY);
            return;
        }
        isRunning = true;
        step = "";
        of = 0;
        report = null;
        file = null;
        handedOver = null;
        message = "";
        runId = request.runId;
        waiting = request;
        changed();
        if (isInFront) {
            begin();
        }
    }

    private void begin() {
        BenchmarkRequest request = waiting;
        AtomicReference<String> stop = new AtomicReference<>();
        waiting = null;
        why = stop;
        try {
            WORKER.execute(() -> run(request, stop));
        } catch (RejectedExecutionException e) {
            end(request.runId, null, null, BUSY, BUSY);
        }
    }

    /** The screen is in front; `isLit`: for a person, too. */
    void arrive(boolean isLit) {
        isInFront = isLit;
        if (waiting != null && isLit) {
            begin();
        } else if (waiting != null) {
            leave();
        }
    }

    /** The screen is in front no more, which fails the run. */
    void leave() {
        isInFront = false;
        stop(LEFT, context.getString(R.string.was_left));
    }

    /** Stops the run between two inferences. */
    void cancel() {
        stop(CANCELLED, context.getString(R.string.cancelled));
    }

    private void stop(String reason, String shown) {
        if (waiting != null) {
            end(waiting.runId, null, null, reason, shown);
            waiting = null;
        } else if (isRunning) {
            why.compareAndSet(null, reason);
        }
    }

    /** Tells of a request that has no name to answer under. */
    @Override
    void complain(String problem) {
        Log.w(OWN_TAG, "refused: " + problem);
        super.complain(problem);
    }

    // --- The worker's part -------------------------------------------------------------------------------------------

    private void run(BenchmarkRequest request, AtomicReference<String> stop) {
        DeviceFacts facts = new AndroidFacts(context);
        lastStep = "";
        wasStill = true;
        try {
            rest(START_MS);
            DeviceReport found;
            try {
                found = BenchmarkRun.run(request.job(context), request.xnnpack, TfliteEngine.FACTORY,
                        new AndroidDecoder(), facts, this::progress, () -> stop.get() != null);
            } catch (BadJob e) {
                found = BenchmarkRun.refusal(e, facts);
            }
            if (stop.get() != null) { // in the very end
                throw new Cancelled();
            }
            if (!wasStill) {
                found.notes.add("The screen was not still while it was measured.");
            }
            save(request, found);
        } catch (Cancelled e) {
            String reason = stop.get();
            int shown = LEFT.equals(reason) ? R.string.was_left : R.string.cancelled;
            end(request.runId, null, null, reason, context.getString(shown));
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
        if (!now.equals(lastStep)) {
            lastStep = now;
            rest(FRAME_MS);
        }
    }

    /** Waits until the main thread has nothing left to do, which what it draws is part of, and some time more. */
    private void rest(long more) {
        CountDownLatch idle = new CountDownLatch(1);
        Looper.getMainLooper().getQueue().addIdleHandler(() -> {
            idle.countDown();
            return false;
        });
        main.post(() -> {}); // a queue that is idle already asks no handler
        try {
            wasStill &= idle.await(STILL_S, TimeUnit.SECONDS);
            Thread.sleep(more);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e); // no one interrupts the worker
        }
    }

    /**
     * Into the app's own storage; for the shell, which may not look there, once more into the app's folder on shared storage.
     * Other apps can write there up to Android 10, but not into the log in the name of a run: its line tells the hash.
     */
    private void save(BenchmarkRequest request, DeviceReport found) {
        String id = request.runId;
        byte[] content = found.json().getBytes(StandardCharsets.UTF_8);
        try {
            File written = ReportFile.write(ReportFile.folder(context.getFilesDir()), id, content);
            ReportFile.keepNewest(written.getParentFile());
            File told = request.isOfTheShell ? ReportFile.write(shared(), id, content) : written;
            Log.i(TAG, "result " + id + " " + told.getAbsolutePath() + " " + Hash.sha256(content));
            post(() -> {
                report = found;
                file = written;
                handedOver = request.isOfTheShell ? told.getAbsolutePath() : null;
                isRunning = false;
            });
        } catch (IOException e) {
            end(id, found, e, e.getMessage(), context.getString(R.string.not_saved, e.getMessage()));
        }
    }

    private File shared() throws IOException {
        File files = context.getExternalFilesDir(null);
        if (files == null) {
            throw new IOException(context.getString(R.string.no_storage));
        }
        return ReportFile.folder(files);
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
