package org.edgekd.demo;

import android.app.AlertDialog;
import android.os.Bundle;
import android.view.View;
import android.view.ViewGroup;
import android.widget.LinearLayout;
import android.widget.TextView;
import java.io.File;
import java.util.List;
import org.edgekd.core.FieldScores;
import org.edgekd.core.Proportion;

/** How each model did by the marks of the person: accuracy, silence, calibration; to be shared as CSV, and cleared. */
public final class LogActivity extends SessionActivity<LogSession> {
    private static final int MOST_CLASSES = 30; // that are shown

    private List<FieldScores> shown; // by the cards
    private AlertDialog asking;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        open(R.layout.log, () -> new LogSession(this));
        findViewById(R.id.back).setOnClickListener(v -> finish());
        findViewById(R.id.share).setOnClickListener(v -> session.share());
        findViewById(R.id.clear).setOnClickListener(v -> askToClear());
    }

    @Override
    protected void onStart() {
        super.onStart();
        session.read();
    }

    @Override
    protected void onStop() {
        if (asking != null) {
            asking.dismiss();
        }
        super.onStop();
    }

    private void askToClear() {
        asking = new AlertDialog.Builder(this)
                .setMessage(getString(R.string.really_clear, session.entries))
                .setPositiveButton(R.string.clear_log, (dialog, which) -> session.clear())
                .setNegativeButton(R.string.cancel, null)
                .show();
    }

    @Override
    void render() {
        String damaged = session.damaged == 0 ? "" : getString(R.string.damaged_rows, session.damaged);
        screen.setText(R.id.message, session.message.isEmpty() ? damaged : session.message);
        screen.show(R.id.empty, session.scores != null && session.entries == 0);
        screen.show(R.id.share, session.entries > 0);
        screen.show(R.id.clear, session.entries > 0 || session.damaged > 0);
        if (session.scores != null && session.scores != shown) {
            shown = session.scores;
            LinearLayout cards = findViewById(R.id.cards);
            cards.removeAllViews();
            for (FieldScores scores : shown) {
                View card = getLayoutInflater().inflate(R.layout.log_card, cards, false);
                render(card, scores);
                cards.addView(card);
            }
        }
        if (session.shared != null) {
            File file = session.shared;
            session.shared = null;
            if (!Sharing.open(this, file, getString(R.string.field_log), "")) {
                session.complain(getString(R.string.nothing_to_share_with));
            }
        }
    }

    private void render(View card, FieldScores scores) {
        String origin = getString(R.string.model_version, scores.model, AnswerWords.shortened(scores.modelSha256));
        ((TextView) card.findViewById(R.id.log_model)).setText(origin);
        String accuracy = getString(R.string.log_accuracy, Numbers.percent(scores.accuracy.share()));
        ((TextView) card.findViewById(R.id.log_accuracy)).setText(accuracy);
        ((TextView) card.findViewById(R.id.log_interval)).setText(getString(R.string.interval, scores.accuracy.count,
                scores.accuracy.of, Numbers.percent(scores.accuracy.low), Numbers.percent(scores.accuracy.high)));
        ((ReliabilityView) card.findViewById(R.id.reliability)).show(scores);
        Facts facts = new Facts(this, (ViewGroup) card.findViewById(R.id.facts));
        facts.row(R.string.not_sure, withInterval(scores.unsure));
        facts.row(R.string.sure_accuracy, withInterval(scores.sureAccuracy));
        if (scores.setCoverage != null) {
            facts.row(R.string.set_coverage, withInterval(scores.setCoverage));
        }
        facts.row(R.string.calibration_error, getString(R.string.points, Numbers.points(scores.ece)));
        facts.section(R.string.section_classes);
        for (FieldScores.ByClass each : scores.classes.subList(0, Math.min(MOST_CLASSES, scores.classes.size()))) {
            facts.row(session.displayName(scores, each.labelName), withInterval(each.recall));
        }
    }

    private String withInterval(Proportion found) {
        return found == null ? getString(R.string.none_yet)
                : getString(R.string.log_share, Numbers.percent(found.share()), found.count, found.of,
                        Numbers.percent(found.low), Numbers.percent(found.high));
    }
}
