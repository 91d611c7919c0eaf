package org.edgekd.demo;

import android.content.Context;
import android.graphics.Bitmap;
import android.net.Uri;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import org.edgekd.core.Classifier;
import org.edgekd.core.CoreException;
import org.edgekd.core.Decoder;
import org.edgekd.core.Model;
import org.edgekd.core.Rgb;

/**
 * The answers to several images, one after another; outlives its activity when the device turns. Fields are for the main
 * thread, the work is done on a thread of its own.
 */
final class BatchSession extends ScreenSession {
    /** So many images at once; each keeps a small picture. */
    static final int MOST = 50;

    /** An image of the list. */
    static final class Row {
        final Uri uri;

        /** Null before it was looked at, and for what is no image. */
        Bitmap thumbnail;

        /** Null for none. */
        Classifier.Result result;

        /** Why there is no answer; "" if there is one, or may still be. */
        String problem = "";

        private Row(Uri uri) {
            this.uri = uri;
        }
    }

    private final Context context;
    private final Decoder decoder = new AndroidDecoder();
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private final AtomicBoolean cancelled = new AtomicBoolean();
    private final int thumbnail; // px

    final List<Row> rows = new ArrayList<>();

    /** How many more were given. */
    final int leftOut;

    /** Null before it is loaded, or if that failed. */
    Model model;

    /** Why there is no model, for a person; "" if there is one. */
    String modelMessage = "";

    int done;
    boolean isRunning = true;

    BatchSession(Context context, List<Uri> images) {
        this.context = context.getApplicationContext();
        thumbnail = context.getResources().getDimensionPixelSize(R.dimen.thumbnail);
        for (Uri uri : images.subList(0, Math.min(MOST, images.size()))) {
            rows.add(new Row(uri));
        }
        leftOut = images.size() - rows.size();
        worker.execute(this::run);
        worker.shutdown(); // this was all
    }

    /** Stops before the next image; answers that are there stay. */
    void cancel() {
        cancelled.set(true);
    }

    @Override
    void close() {
        super.close();
        cancel();
    }

    // --- The worker's part -------------------------------------------------------------------------------------------

    private void run() {
        try (EmbeddedModel loaded = EmbeddedModel.load(EmbeddedModel.files(context), 1)) {
            post(() -> model = loaded.model);
            for (Row row : rows) {
                if (cancelled.get()) {
                    post(() -> row.problem = context.getString(R.string.not_looked_at));
                } else {
                    answer(loaded, row);
                }
                post(() -> done++);
            }
        } catch (CoreException | RuntimeException | OutOfMemoryError e) {
            post(() -> modelMessage = context.getString(R.string.model_problem, e.getMessage()));
        }
        post(() -> isRunning = false);
    }

    private void answer(EmbeddedModel loaded, Row row) {
        try {
            Rgb image = decoder.decode(ImageSource.of(row.uri).read(context, cancelled::get));
            Bitmap whole = Picture.of(image);
            double scale = (double) thumbnail / Math.min(whole.getWidth(), whole.getHeight());
            int width = (int) Math.max(1, Math.min(4 * thumbnail, whole.getWidth() * scale));
            int height = (int) Math.max(1, Math.min(4 * thumbnail, whole.getHeight() * scale));
            Bitmap small = Bitmap.createScaledBitmap(whole, width, height, true);
            post(() -> row.thumbnail = small);
            Classifier.Result found = loaded.classifier.classify(image);
            post(() -> row.result = found);
        } catch (CoreException | RuntimeException | OutOfMemoryError e) {
            int other = e instanceof OutOfMemoryError ? R.string.no_memory : R.string.unexpected;
            String reason = cancelled.get() ? context.getString(R.string.not_looked_at)
                    : e instanceof CoreException ? e.getMessage() : context.getString(other, e.toString());
            post(() -> row.problem = reason);
        }
    }
}
