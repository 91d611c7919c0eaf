package org.edgekd.demo;

import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.os.Bundle;
import android.view.ViewGroup;
import java.util.List;
import org.edgekd.core.Model;

/** Which model answers, where it comes from, and another in its place: a zip of `python -m edgekd.embed BUNDLE --zip FILE`. */
public final class ModelActivity extends SessionActivity<ModelSession> {
    static final int PICK = 1;

    private Model shown; // by the facts

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        open(R.layout.model, () -> new ModelSession(this));
        findViewById(R.id.back).setOnClickListener(v -> finish());
        findViewById(R.id.import_model).setOnClickListener(v -> pick());
        findViewById(R.id.forget).setOnClickListener(v -> session.forget());
        findViewById(R.id.cancel).setOnClickListener(v -> session.cancel());
    }

    private void pick() {
        Intent intent = new Intent(Intent.ACTION_OPEN_DOCUMENT)
                .addCategory(Intent.CATEGORY_OPENABLE)
                .setType("*/*") // providers name zips in many ways
                .putExtra(Intent.EXTRA_MIME_TYPES, new String[] {"application/zip", "application/octet-stream",
                    "application/x-zip-compressed"});
        try {
            startActivityForResult(intent, PICK);
        } catch (ActivityNotFoundException e) {
            session.complain(getString(R.string.no_file_picker));
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (request == PICK && result == RESULT_OK && data != null && data.getData() != null) {
            session.take(data.getData());
        }
    }

    @Override
    void stepBack() {
        session.cancel();
    }

    @Override
    void render() {
        back.enable(session.isBusy);
        screen.setText(R.id.message, session.message);
        screen.setText(R.id.success, session.success);
        screen.show(R.id.busy, session.isBusy);
        screen.show(R.id.import_model, !session.isBusy);
        screen.show(R.id.forget, !session.isBusy && session.isImported);
        screen.show(R.id.model_card, session.model != null);
        if (session.model != null && session.model != shown) {
            shown = session.model;
            screen.setText(R.id.model_name, shown.name);
            screen.setText(R.id.model_from, getString(session.isImported ? R.string.imported : R.string.built_in));
            render(new Facts(this, (ViewGroup) findViewById(R.id.facts)));
        }
    }

    private void render(Facts facts) {
        facts.clear();
        facts.row(R.string.sha256, AnswerWords.shortened(shown.sha256));
        facts.row(R.string.network, shown.network);
        facts.row(R.string.format, shown.format);
        facts.row(R.string.size, getString(R.string.megabytes, Numbers.number(shown.sizeBytes / 1e6)));
        facts.row(R.string.classes, classes(shown.displayNames));
        facts.row(R.string.val_accuracy,
                getString(R.string.of_images, Numbers.percent(shown.valAccuracy), shown.valImages));
        facts.row(R.string.own_heatmap, getString(shown.heatHeight > 0 ? R.string.yes : R.string.no));
        facts.row(R.string.sets, getString(shown.hasSets ? R.string.yes : R.string.no));
        facts.row(R.string.licence, shown.licence);
    }

    private String classes(List<String> names) {
        int most = 10;
        String text = String.join(", ", names.subList(0, Math.min(most, names.size())));
        return names.size() > most ? text + " " + getString(R.string.more_classes, names.size() - most) : text;
    }
}
