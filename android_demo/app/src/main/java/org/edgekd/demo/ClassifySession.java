package org.edgekd.demo;

import android.content.Context;
import android.graphics.Bitmap;
import java.io.File;
import java.io.IOException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import org.edgekd.core.Classifier;
import org.edgekd.core.CoreException;
import org.edgekd.core.Cancelled;
import org.edgekd.core.Decoder;
import org.edgekd.core.FieldLog;
import org.edgekd.core.Hash;
import org.edgekd.core.InputContract;
import org.edgekd.core.LogEntry;
import org.edgekd.core.Model;
import org.edgekd.core.Occlusion;
import org.edgekd.core.Preprocess;
import org.edgekd.core.Region;
import org.edgekd.core.Rgb;

/**
 * The state of the Classify screen, and the work behind it. It outlives its activity when the device turns. Fields are
 * for the main thread, the work is done one after another on a thread of its own.
 */
final class ClassifySession extends ScreenSession {
    private final Context context;
    private final Decoder decoder = new AndroidDecoder();
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private final int heatColour;
    private EmbeddedModel loaded; // the worker's
    private AtomicBoolean cancelled = new AtomicBoolean();
    private boolean wantsHeat;

    /** Which model this is of, as {@link EmbeddedModel#place} says. */
    private String place;

    /** What is loaded; null before that, or if it failed. */
    Model model;

    /** "TensorFlow Lite 2.21.0, XNNPACK". */
    String runtime = "";

    /** Null before one is chosen. */
    ImageSource source;

    boolean isBusy;

    /** Why there is no model, for a person; "" if there is one. */
    String modelMessage = "";

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

    /** Of the image's file. */
    private String imageSha256 = "";

    /** What the person said of the answer; null for nothing. */
    LogEntry marked;

    /** How often it was said of any. */
    int marks;

    /** What is to be shared, once it is written; taken by the activity. */
    File shared;

    ClassifySession(Context context) {
        this.context = context.getApplicationContext();
        heatColour = context.getColor(R.color.heat);
        place = EmbeddedModel.place(context);
        worker.execute(this::load);
    }

    /** Takes the model that is there now, and asks it again about an image that is no sample of the other one. */
    void refresh() {
        String now = EmbeddedModel.place(context);
        if (now.equals(place)) {
            return;
        }
        place = now;
        ImageSource again = source == null || source.isSample() ? null : source;
        restart();
        clear(null);
        isBusy = false;
        model = null;
        modelMessage = "";
        worker.execute(this::load);
        if (again != null) {
            show(again);
        } else {
            changed();
        }
    }

    /** Classifies an image; whatever goes on is cancelled. */
    void show(ImageSource chosen) {
        AtomicBoolean stop = restart();
        clear(chosen);
        isBusy = true;
        changed();
        worker.execute(() -> classify(chosen, stop));
    }

    private void clear(ImageSource chosen) {
        source = chosen;
        wantsHeat = false;
        picture = null;
        result = null;
        heated = null;
        mapped = null;
        marked = null;
        message = "";
    }

    /** Whether the answer can be marked: a generated picture says nothing of the field. */
    boolean canBeMarked() {
        return result != null && !source.isSample();
    }

    /**
     * Notes what the person says of the answer.
     *
     * @param trueLabel what the image shows; -1 for unknown
     */
    void mark(LogEntry.Mark mark, int trueLabel) {
        Classifier.Result answer = result;
        String image = imageSha256;
        Model asked = model;
        worker.execute(() -> {
            try {
                LogEntry entry = LogEntry.of(asked, image, answer, mark, trueLabel);
                FieldLog log = LogSession.log(context);
                log.append(entry);
                FieldLog.Content content = log.read();
                postOf(answer, () -> {
                    message = "";
                    marked = content.find(asked.sha256, image);
                    marks = content.entries.size();
                });
            } catch (IOException | CoreException e) {
                postOf(answer, () -> message = context.getString(R.string.not_noted, e.getMessage()));
            }
        });
    }

    /** Makes a picture of what is on the screen, to be shared. */
    void share() {
        Classifier.Result answer = result;
        Bitmap image = shown();
        boolean isGenerated = source.isSample();
        AnswerWords words = new AnswerWords(context, model);
        String name = SharedFile.answer(imageSha256);
        worker.execute(() -> {
            try {
                byte[] png = AnswerPicture.png(context, image, isGenerated, words, answer);
                File file = SharedFile.write(context, name, png);
                postOf(answer, () -> shared = file);
            } catch (IOException | RuntimeException | OutOfMemoryError e) {
                postOf(answer, () -> message = context.getString(R.string.not_shared, e.toString()));
            }
        });
    }

    /** Makes the heat map too as soon as there is an answer. */
    void explainWhenDone(boolean isWanted) {
        wantsHeat = isWanted;
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
    @Override
    void close() {
        super.close();
        restart();
        worker.execute(this::release);
        worker.shutdown();
    }

    private AtomicBoolean restart() {
        cancelled.set(true);
        cancelled = new AtomicBoolean();
        isExplaining = false;
        return cancelled;
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

    /** As post, while the answer is still on the screen. */
    private void postOf(Classifier.Result answer, Runnable change) {
        main.post(() -> {
            if (result == answer) {
                change.run();
                changed();
            }
        });
    }

    // --- The worker's part -------------------------------------------------------------------------------------------

    private void release() {
        if (loaded != null) {
            loaded.close();
            loaded = null;
        }
    }

    private void load() {
        AtomicBoolean always = new AtomicBoolean();
        release();
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
        int text = EmbeddedModel.place(context).isEmpty() ? R.string.model_problem : R.string.imported_model_problem;
        return context.getString(text, reason);
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
            Model asked = loaded.model;
            InputContract input = asked.input;
            double[] seen = Preprocess.seen(shown.getWidth(), shown.getHeight(), input);
            Region strongest = answer.map == null ? null
                    : answer.map.region(answer.best, seen, shown.getWidth(), shown.getHeight());
            Bitmap own = answer.map == null ? null
                    : Picture.heated(shown, answer.map.of(answer.best), input, heatColour);
            String hash = Hash.sha256(file);
            FieldLog.Content log = noted();
            post(stop, () -> {
                picture = shown;
                mapped = own;
                region = strongest;
                decodeMs = took;
                imageWidth = image.width;
                imageHeight = image.height;
                result = answer;
                imageSha256 = hash;
                marked = log == null ? null : log.find(asked.sha256, hash);
                marks = log == null ? 0 : log.entries.size();
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

    /** The field log; null where it cannot be read, which its own screen tells of. */
    private FieldLog.Content noted() {
        try {
            return LogSession.log(context).read();
        } catch (IOException e) {
            return null;
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
