package org.edgekd.demo;

import android.app.AlertDialog;
import android.content.Intent;
import android.graphics.BitmapFactory;
import android.net.Uri;
import android.os.Bundle;
import android.view.LayoutInflater;
import android.view.View;
import android.view.ViewGroup;
import android.widget.Button;
import android.widget.ImageButton;
import android.widget.ImageView;
import android.widget.LinearLayout;
import android.widget.ProgressBar;
import android.widget.TextView;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import org.edgekd.core.LogEntry;
import org.edgekd.core.Model;

/** Choose, share or sample an image, and see what the model says of it, how sure it is, and why. */
public final class ClassifyActivity extends SessionActivity<ClassifySession> {
    static final int PICK = 1;
    private static final String SOURCE = "source";
    private static final String HEATED = "heated";
    private static final int MOST_ROWS = 6;
    private static final int[] REGIONS = { // in the order of Region
        R.string.upper_left, R.string.top, R.string.upper_right, R.string.left, R.string.middle, R.string.right,
        R.string.lower_left, R.string.bottom, R.string.lower_right,
    };

    private AnswerWords words; // of the session's model
    private AlertDialog naming; // asks what the image shows
    private Model samplesOf; // whose samples are shown

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        boolean isNew = open(R.layout.classify, () -> new ClassifySession(this));
        findViewById(R.id.pick).setOnClickListener(v -> pick());
        findViewById(R.id.benchmark).setOnClickListener(v -> startActivity(new Intent(this, BenchmarkActivity.class)));
        findViewById(R.id.explain).setOnClickListener(v -> explainOrHide());
        findViewById(R.id.map).setOnClickListener(v -> session.hideMap(!session.hidesMap));
        findViewById(R.id.cancel).setOnClickListener(v -> session.cancel());
        findViewById(R.id.right).setOnClickListener(v -> session.mark(LogEntry.Mark.RIGHT, session.result.best));
        findViewById(R.id.wrong).setOnClickListener(v -> askWhatItIs());
        findViewById(R.id.undo).setOnClickListener(v -> session.mark(LogEntry.Mark.WITHDRAWN, -1));
        findViewById(R.id.share).setOnClickListener(v -> session.share());
        findViewById(R.id.field_log).setOnClickListener(v -> startActivity(new Intent(this, LogActivity.class)));
        findViewById(R.id.model_screen).setOnClickListener(v -> startActivity(new Intent(this, ModelActivity.class)));
        if (isNew && saved != null && saved.getString(SOURCE) != null) { // the system had ended the process
            session.show(ImageSource.of(Uri.parse(saved.getString(SOURCE))));
            session.explainWhenDone(saved.getBoolean(HEATED));
        } else if (isNew && saved == null && Intent.ACTION_SEND.equals(getIntent().getAction())) {
            showShared(getIntent());
        }
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        if (Intent.ACTION_SEND.equals(intent.getAction())) {
            showShared(intent);
        }
    }

    @Override
    protected void onStart() {
        super.onStart();
        session.refresh();
    }

    @Override
    protected void onStop() {
        if (naming != null) {
            naming.dismiss();
        }
        super.onStop();
    }

    @Override
    protected void onSaveInstanceState(Bundle out) {
        super.onSaveInstanceState(out);
        if (session.source != null) {
            out.putString(SOURCE, session.source.uri.toString());
            out.putBoolean(HEATED, session.heated != null || session.isExplaining);
        }
    }

    private void pick() {
        if (!ImagePicker.open(this, PICK)) {
            session.complain(getString(R.string.no_picker));
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (request != PICK || result != RESULT_OK || data == null) {
            return;
        }
        List<Uri> picked = ImagePicker.uris(data);
        for (Uri uri : picked) {
            try { // so that the image is there again should the system end the process
                getContentResolver().takePersistableUriPermission(uri, Intent.FLAG_GRANT_READ_URI_PERMISSION);
            } catch (SecurityException e) {
                // this provider does not give it
            }
        }
        if (picked.size() > 1) {
            startActivity(BatchActivity.of(this, picked));
        } else if (!picked.isEmpty()) {
            session.show(ImageSource.of(picked.get(0)));
        }
    }

    /** What other apps put into an intent may be anything. */
    @SuppressWarnings("deprecation") // the typed getter came with Android 13
    private void showShared(Intent intent) {
        Uri uri = null;
        try {
            uri = intent.getParcelableExtra(Intent.EXTRA_STREAM);
        } catch (RuntimeException e) {
            // no Uri, or a class that is not here
        }
        if (uri == null) {
            session.complain(getString(R.string.nothing_shared));
        } else {
            session.show(ImageSource.of(uri));
        }
    }

    /** What the image shows instead; closed by the person, or when the screen goes. */
    private void askWhatItIs() {
        List<String> names = new ArrayList<>();
        List<Integer> classes = new ArrayList<>();
        for (int k : session.result.ranked()) {
            if (k != session.result.best) {
                names.add(words.label(k));
                classes.add(k);
            }
        }
        names.add(getString(R.string.none_of_these));
        classes.add(-1);
        naming = new AlertDialog.Builder(this)
                .setTitle(R.string.what_is_it)
                .setItems(names.toArray(new String[0]), (d, i) -> session.mark(LogEntry.Mark.WRONG, classes.get(i)))
                .setNegativeButton(R.string.cancel, null)
                .show();
    }

    /** Ends the second opinion. */
    @Override
    void stepBack() {
        if (session.isExplaining) {
            session.cancel();
        } else {
            session.hideHeat();
        }
    }

    private void explainOrHide() {
        if (session.heated == null) {
            session.explain();
        } else {
            session.hideHeat();
        }
    }

    // --- The session on the screen -----------------------------------------------------------------------------------

    @Override
    void render() {
        words = session.model == null ? null : new AnswerWords(this, session.model);
        back.enable(session.isExplaining || session.heated != null);
        renderPicture();
        renderSamples();
        String problem = session.modelMessage.isEmpty() ? session.message : session.modelMessage;
        screen.setText(R.id.message, problem);
        screen.show(R.id.answer_card, session.result != null);
        if (session.result != null) {
            renderAnswer();
        }
        if (session.model != null) {
            int line = EmbeddedModel.place(this).isEmpty() ? R.string.model_line : R.string.imported_model_line;
            screen.setText(R.id.model, getString(line, session.model.name, session.runtime));
            screen.setText(R.id.model_notice, session.model.notice);
        }
        if (session.shared != null) {
            File file = session.shared;
            session.shared = null;
            String text = words.shared(session.result, session.source.isSample());
            if (!Sharing.open(this, file, getString(R.string.share_answer), text)) {
                session.complain(getString(R.string.nothing_to_share_with));
            }
        }
    }

    private void renderPicture() {
        ImageView view = findViewById(R.id.picture);
        view.setImageBitmap(session.shown());
        view.setVisibility(session.picture == null ? View.GONE : View.VISIBLE);
        if (session.heated != null && session.result != null) {
            view.setContentDescription(getString(R.string.heated_description, words.label(session.result.best)));
        } else if (session.isMapped() && session.result != null) {
            view.setContentDescription(getString(R.string.mapped_description, mapWords()));
        } else {
            view.setContentDescription(getString(R.string.image_description, session.imageWidth, session.imageHeight));
        }
        screen.show(R.id.busy, session.isBusy);
        screen.show(R.id.hint, session.picture == null && !session.isBusy);
        screen.show(R.id.generated, session.picture != null && session.source.isSample());
    }

    private void renderSamples() {
        if (session.model == null || session.model == samplesOf) {
            return;
        }
        samplesOf = session.model;
        LinearLayout row = findViewById(R.id.samples);
        row.removeAllViews();
        for (Model.Sample sample : session.model.samples) {
            ImageButton button = (ImageButton) getLayoutInflater().inflate(R.layout.sample, row, false);
            String label = session.model.displayName(sample.label);
            String title = label.isEmpty() ? sample.title : getString(R.string.pair, sample.title, label);
            button.setContentDescription(getString(R.string.sample_description, title));
            try (InputStream in = EmbeddedModel.files(this).open(sample.file)) {
                button.setImageBitmap(BitmapFactory.decodeStream(in));
            } catch (IOException e) {
                continue; // a sample less
            }
            button.setOnClickListener(v -> session.show(ImageSource.sample(sample.file)));
            row.addView(button);
        }
        screen.show(R.id.samples_title, row.getChildCount() > 0);
    }

    private void renderAnswer() {
        int[] possible = session.result.possible();
        screen.setText(R.id.answer, words.headline(session.result));
        screen.setText(R.id.unsure, words.why(session.result));
        renderProbabilities(possible);
        screen.setText(R.id.times, getString(R.string.times, ms(session.decodeMs), ms(session.result.preprocessMs),
                ms(session.result.inferenceMs)));
        screen.show(R.id.explaining, session.isExplaining);
        screen.setText(R.id.explaining_text, getString(R.string.explaining, session.done, session.of));
        ProgressBar progress = findViewById(R.id.explaining_progress);
        progress.setMax(Math.max(1, session.of));
        progress.setProgress(session.done);
        Button explain = findViewById(R.id.explain);
        screen.show(R.id.explain, !session.isExplaining);
        boolean hasMap = session.mapped != null;
        int again = hasMap ? R.string.own_map : R.string.hide;
        explain.setText(session.heated != null ? again : hasMap ? R.string.second_opinion : R.string.explain);
        Button map = findViewById(R.id.map);
        screen.show(R.id.map, hasMap && session.heated == null && !session.isExplaining);
        map.setText(session.hidesMap ? R.string.show_map : R.string.hide);
        screen.setText(R.id.legend, legend());
        renderMark();
    }

    private void renderMark() {
        boolean canBeMarked = session.canBeMarked();
        screen.show(R.id.mark, canBeMarked);
        if (canBeMarked) {
            screen.setText(R.id.mark_text, markText());
            screen.show(R.id.right, session.marked == null);
            screen.show(R.id.wrong, session.marked == null);
            screen.show(R.id.undo, session.marked != null);
        }
    }

    private String markText() {
        LogEntry marked = session.marked;
        if (marked == null) {
            return getString(R.string.was_it_right, words.label(session.result.best));
        }
        if (marked.mark == LogEntry.Mark.RIGHT) {
            return getString(R.string.marked_right, session.marks);
        }
        return marked.trueLabel < 0
                ? getString(R.string.marked_wrong, session.marks)
                : getString(R.string.marked_wrong_is, words.label(marked.trueLabel), session.marks);
    }

    private String legend() {
        if (session.heated != null) {
            return session.largestDrop > 0
                    ? getString(R.string.heat_legend, Numbers.points(session.largestDrop))
                    : getString(R.string.heat_nothing);
        }
        return session.isMapped() ? getString(R.string.map_legend, mapWords()) : "";
    }

    /** What the model's own map says: "glioma is strongest in the upper left of the image". */
    private String mapWords() {
        String best = words.label(session.result.best);
        if (session.region == null) {
            return getString(R.string.map_nothing, best);
        }
        return getString(R.string.map_region, best, getString(REGIONS[session.region.ordinal()]));
    }

    private void renderProbabilities(int[] possible) {
        LinearLayout rows = findViewById(R.id.probabilities);
        rows.removeAllViews();
        float[] probs = session.result.probs();
        int[] ranked = session.result.ranked();
        int shown = ranked.length <= MOST_ROWS ? ranked.length : MOST_ROWS - 1;
        for (int i = 0; i < shown; i++) {
            boolean isAnswer = i < possible.length && !session.result.isUnsure; // the possible ones are the first
            rows.addView(row(rows, words.label(ranked[i]), probs[ranked[i]], isAnswer));
        }
        if (shown < ranked.length) {
            TextView more = new TextView(this, null, 0, R.style.Small);
            more.setText(getString(R.string.more_classes, ranked.length - shown));
            rows.addView(more);
        }
    }

    private View row(ViewGroup parent, String label, float p, boolean isAnswer) {
        View row = LayoutInflater.from(this).inflate(R.layout.probability_row, parent, false);
        String percent = Numbers.percent(p);
        ((TextView) row.findViewById(R.id.label)).setText(label);
        ((TextView) row.findViewById(R.id.percent)).setText(percent);
        ProgressBar bar = row.findViewById(R.id.bar);
        bar.setProgressDrawable(getDrawable(isAnswer ? R.drawable.probability : R.drawable.probability_soft));
        bar.setProgress(Math.round(1000 * p));
        row.setContentDescription(getString(R.string.probability_description, label, percent));
        return row;
    }

    private String ms(double value) {
        return getString(R.string.milliseconds, Numbers.number(value));
    }
}
