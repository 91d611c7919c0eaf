package org.edgekd.demo;

import android.content.Context;
import android.graphics.Bitmap;
import android.os.Handler;
import android.os.Looper;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import org.edgekd.core.Classifier;
import org.edgekd.core.CoreException;
import org.edgekd.core.Cancelled;
import org.edgekd.core.Decoder;
import org.edgekd.core.InputContract;
import org.edgekd.core.Model;
import org.edgekd.core.Occlusion;
import org.edgekd.core.Preprocess;
import org.edgekd.core.Region;
import org.edgekd.core.Rgb;

/**
 * The state of the Classify screen, and the work behind it. It outlives its activity when the device turns. Fields are
 * for the main thread, the work is done one after another on a thread of its own.
 */
final class ClassifySession {
    /** Told of every change, on the main thread. */
    interface Listener {
        void onChange();
    }

    private final Context context;
    private final Decoder decoder = new AndroidDecoder();
    private final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private final int heatColour;
    private EmbeddedModel loaded; // the worker's
    private AtomicBoolean cancelled = new AtomicBoolean();
    private Listener listener;
    private boolean wantsHeat;

    /** What is loaded; null before that, or if it failed. */
    Model model;

    /** "TensorFlow Lite 2.21.0, XNNPACK". */
    String runtime = "";

    /** Null before one is chosen. */
    ImageSource source;

    boolean isBusy;

    /** Why there is no model, for a person; "" if there is one. */
    String modelMessage = "";

    /** What went wrong with the image, for a person; "" for nothing. */
    String message = "";

    /** The image as it is shown; null for none. */
    Bitmap picture;

    /** The answer; null for none yet. */
    Classifier.Result result;

    double decodeMs;
    int imageWidth;
    int imageHeight;

    boolean isExplaining;

    /** Passes of the heat map that are done, and in all. */
    int done;

    int of;

    /** The picture with the heat map of occlusion; null for none. */
    Bitmap heated;

    /** The picture with the model's own heat map, which comes with the answer; null for a model without. */
    Bitmap mapped;

    /** Where that map is strongest; null where no place speaks for the answer. */
    Region region;

    /** Whether the picture is wanted without its own map. */
    boolean hidesMap;

    float largestDrop;

    ClassifySession(Context context) {
        this.context = context.getApplicationContext();
        heatColour = context.getColor(R.color.heat);
        worker.execute(this::load);
    }

    void setListener(Listener listener) {
        this.listener = listener;
    }

    /** Classifies an image; whatever goes on is cancelled. */
    void show(ImageSource chosen) {
        AtomicBoolean stop = restart();
        source = chosen;
        wantsHeat = false;
        picture = null;
        result = null;
        heated = null;
        mapped = null;
        message = "";
        isBusy = true;
        changed();
        worker.execute(() -> classify(chosen, stop));
    }

    /** Makes the heat map too as soon as there is an answer. */
    void explainWhenDone(boolean isWanted) {
        wantsHeat = isWanted;
    }

    /** Shows a problem that has nothing to do with what is there. */
    void complain(String problem) {
        message = problem;
        changed();
    }

    /** Makes the heat map of the answer by occlusion: where the model has its own, the second opinion. */
    void explain() {
        if (result == null || isExplaining) {
            return;
        }
        AtomicBoolean stop = restart();
        Classifier.Result answer = result;
        Bitmap shown = picture;
        isExplaining = true;
        message = "";
        done = 0;
        of = Occlusion.passes(model.input.size);
        changed();
        worker.execute(() -> explain(answer, shown, stop));
    }

    /** Stops whatever goes on; what is there already stays. */
    void cancel() {
        restart();
        if (isBusy) {
            source = null;
        }
        isBusy = false;
        isExplaining = false;
        changed();
    }

    /** Shows the image without the heat map of occlusion again. */
    void hideHeat() {
        heated = null;
        changed();
    }

    /** Shows the image with or without the model's own map. */
    void hideMap(boolean isHidden) {
        hidesMap = isHidden;
        changed();
    }

    /** What is to be seen of the image. */
    Bitmap shown() {
        if (heated != null) {
            return heated;
        }
        return isMapped() ? mapped : picture;
    }

    /** Whether the model's own map is to be seen. */
    boolean isMapped() {
        return heated == null && mapped != null && !hidesMap;
    }

    /** Ends the session; the model is released after what goes on. */
    void close() {
        listener = null;
        restart();
        worker.execute(() -> {
            if (loaded != null) {
                loaded.close();
                loaded = null;
            }
        });
        worker.shutdown();
    }

    private AtomicBoolean restart() {
        cancelled.set(true);
        cancelled = new AtomicBoolean();
        isExplaining = false;
        return cancelled;
    }

    private void changed() {
        if (listener != null) {
            listener.onChange();
        }
    }

    /** Changes the state on the main thread, unless what it belongs to was cancelled. */
    private void post(AtomicBoolean stop, Runnable change) {
        main.post(() -> {
            if (!stop.get()) {
                change.run();
                changed();
            }
        });
    }

    // --- The worker's part -------------------------------------------------------------------------------------------

    private void load() {
        AtomicBoolean always = new AtomicBoolean();
        try {
            EmbeddedModel found = EmbeddedModel.load(EmbeddedModel.files(context), 1);
            loaded = found;
            String name = found.engine.name() + " " + found.engine.version();
            String full = found.engine.delegate().isEmpty() ? name : name + ", " + found.engine.delegate();
            post(always, () -> {
                model = found.model;
                runtime = full;
            });
        } catch (CoreException | RuntimeException | OutOfMemoryError e) {
            post(always, () -> modelMessage = modelProblem(e));
        }
    }

    private String modelProblem(Throwable e) {
        String reason = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        return EmbeddedModel.isOwn(context)
                ? context.getString(R.string.own_model_problem, reason, EmbeddedModel.ownFolder(context))
                : context.getString(R.string.model_problem, reason);
    }

    private void classify(ImageSource chosen, AtomicBoolean stop) {
        if (loaded == null) {
            post(stop, () -> isBusy = false); // the reason is on the screen
            return;
        }
        try {
            byte[] file = chosen.read(context, stop::get);
            long begin = System.nanoTime();
            Rgb image = decoder.decode(file);
            double took = (System.nanoTime() - begin) / 1e6;
            Bitmap shown = Picture.of(image);
            Classifier.Result answer = loaded.classifier.classify(image);
            InputContract input = loaded.model.input;
            double[] seen = Preprocess.seen(shown.getWidth(), shown.getHeight(), input);
            Region strongest = answer.map == null ? null
                    : answer.map.region(answer.best, seen, shown.getWidth(), shown.getHeight());
            Bitmap own = answer.map == null ? null
                    : Picture.heated(shown, answer.map.of(answer.best), input, heatColour);
            post(stop, () -> {
                picture = shown;
                mapped = own;
                region = strongest;
                decodeMs = took;
                imageWidth = image.width;
                imageHeight = image.height;
                result = answer;
                isBusy = false;
                if (wantsHeat) {
                    wantsHeat = false;
                    explain();
                }
            });
        } catch (CoreException | RuntimeException | OutOfMemoryError e) {
            fail(stop, e);
        }
    }

    private void explain(Classifier.Result answer, Bitmap shown, AtomicBoolean stop) {
        try {
            Occlusion.HeatMap map = Occlusion.map(loaded.session, loaded.model.input, answer.pixels(), answer.best,
                    (step, passes, all) -> post(stop, () -> done = passes), stop::get);
            Bitmap drawn = Picture.heated(shown, map.heat, loaded.model.input, heatColour);
            post(stop, () -> {
                heated = drawn;
                largestDrop = map.largest;
                isExplaining = false;
            });
        } catch (Cancelled e) {
            // the main thread asked for it and knows
        } catch (CoreException | RuntimeException | OutOfMemoryError e) {
            fail(stop, e);
        }
    }

    private void fail(AtomicBoolean stop, Throwable e) {
        int other = e instanceof OutOfMemoryError ? R.string.no_memory : R.string.unexpected;
        String reason = e instanceof CoreException ? e.getMessage() : context.getString(other, e.toString());
        post(stop, () -> {
            message = reason;
            isBusy = false;
            isExplaining = false;
        });
    }
}
