package org.edgekd.demo;

import android.content.Context;
import android.content.Intent;
import android.net.Uri;
import android.os.Bundle;
import android.os.Parcelable;
import android.widget.ListView;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Several images that were picked or shared, and the answer to each; one that is touched is shown on the screen for one. */
public final class BatchActivity extends SessionActivity<BatchSession> {
    private BatchRows rows;

    /** What shows these images. */
    static Intent of(Context context, List<Uri> images) {
        return new Intent(context, BatchActivity.class)
                .setAction(Intent.ACTION_SEND_MULTIPLE)
                .putParcelableArrayListExtra(Intent.EXTRA_STREAM, new ArrayList<>(images));
    }

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        open(R.layout.batch, () -> new BatchSession(this, images(getIntent())));
        rows = new BatchRows(this, session);
        ListView list = findViewById(R.id.list);
        list.setAdapter(rows);
        list.setOnItemClickListener((l, view, position, id) -> open(session.rows.get(position)));
        findViewById(R.id.back).setOnClickListener(v -> finish());
        findViewById(R.id.cancel).setOnClickListener(v -> session.cancel());
    }

    /** What other apps put into an intent may be anything. */
    @SuppressWarnings("deprecation") // the typed getter came with Android 13
    private static List<Uri> images(Intent intent) {
        Set<Uri> found = new LinkedHashSet<>();
        try {
            List<Parcelable> given = intent.getParcelableArrayListExtra(Intent.EXTRA_STREAM);
            for (Object each : given == null ? new ArrayList<>() : given) {
                if (each instanceof Uri) {
                    found.add((Uri) each);
                }
            }
        } catch (RuntimeException e) {
            // no list, or classes that are not here
        }
        return new ArrayList<>(found);
    }

    private void open(BatchSession.Row row) {
        startActivity(new Intent(this, ClassifyActivity.class)
                .setAction(Intent.ACTION_SEND)
                .putExtra(Intent.EXTRA_STREAM, row.uri));
    }

    @Override
    void stepBack() {
        session.cancel();
    }

    @Override
    void render() {
        back.enable(session.isRunning && !session.rows.isEmpty());
        int all = session.rows.size();
        String more = session.leftOut == 0 ? "" : getString(R.string.left_out, all, session.leftOut);
        String none = all == 0 ? getString(R.string.nothing_shared) : more;
        screen.setText(R.id.message, session.modelMessage.isEmpty() ? none : session.modelMessage);
        screen.show(R.id.running, session.isRunning && all > 0);
        screen.setText(R.id.progress, getString(R.string.batch_progress, Math.min(session.done + 1, all), all));
        screen.setText(R.id.model, session.model == null ? "" : new AnswerWords(this, session.model).origin());
        rows.notifyDataSetChanged();
    }
}
