package org.edgekd.demo;

import android.content.ActivityNotFoundException;
import android.content.ClipData;
import android.content.Intent;
import android.content.pm.ActivityInfo;
import android.net.Uri;
import android.os.Bundle;
import android.os.PowerManager;
import android.view.WindowManager;
import android.widget.RadioGroup;
import android.widget.Switch;
import android.widget.TextView;
import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.Locale;
import org.edgekd.core.DeviceReport;
import org.edgekd.core.Timing;

/**
 * Measures the model on this device: started by a person, or by the harness with the extras of {@link
 * BenchmarkRequest}.
 */
public final class BenchmarkActivity extends SessionActivity<BenchmarkSession> {
    private static final String AFTER_REPLAY = "warm-up|inference|stages|sustained|camera|answers"; // of BenchmarkRun
    private static final int LONGEST_TEXT = 100_000; // characters that other apps surely take; more would fail

    private DeviceReport shown; // by the rows

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        boolean isNew = open(R.layout.benchmark, () -> new BenchmarkSession(this));
        findViewById(R.id.back).setOnClickListener(v -> finish());
        findViewById(R.id.run).setOnClickListener(v -> session.start(chosen()));
        findViewById(R.id.cancel).setOnClickListener(v -> session.cancel());
        findViewById(R.id.share).setOnClickListener(v -> share());
        if (isNew && saved == null) {
            answer(getIntent());
        }
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        answer(intent);
    }

    /** Starts what an intent asks for, if it asks for anything. */
    private void answer(Intent intent) {
        try {
            BenchmarkRequest request = BenchmarkRequest.of(intent);
            if (request != null) {
                session.start(request);
            }
        } catch (IllegalArgumentException e) {
            session.complain(e.getMessage());
        }
    }

    /** What is chosen on the screen. */
    private BenchmarkRequest chosen() {
        int id = ((RadioGroup) findViewById(R.id.threads)).getCheckedRadioButtonId();
        int threads = id == R.id.threads_4 ? 4 : id == R.id.threads_2 ? 2 : 1;
        boolean xnnpack = ((Switch) findViewById(R.id.xnnpack)).isChecked();
        String now = new SimpleDateFormat("yyyyMMdd-HHmmss", Locale.ROOT).format(new Date());
        return new BenchmarkRequest("screen-" + now, "", threads, xnnpack, Timing.STANDARD, false);
    }

    @Override
    protected void onResume() {
        super.onResume();
        session.arrive(((PowerManager) getSystemService(POWER_SERVICE)).isInteractive());
    }

    @Override
    protected void onPause() {
        if (!isChangingConfigurations()) {
            session.leave();
        }
        super.onPause();
    }

    @Override
    void stepBack() {
        session.cancel();
    }

    /** The report as a file lent by this app, or as text where it could not be saved. */
    private void share() {
        if (session.report == null) {
            return;
        }
        Intent send = new Intent(Intent.ACTION_SEND);
        send.putExtra(Intent.EXTRA_SUBJECT, getString(R.string.share_subject, session.runId));
        if (session.file != null) {
            Uri uri = ReportProvider.uri(session.file);
            send.setType("application/json");
            send.putExtra(Intent.EXTRA_STREAM, uri);
            send.setClipData(ClipData.newRawUri(session.runId, uri));
            send.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
        } else {
            String text = session.report.json();
            send.setType("text/plain");
            send.putExtra(Intent.EXTRA_TEXT, text.length() > LONGEST_TEXT ? text.substring(0, LONGEST_TEXT) : text);
        }
        try {
            startActivity(Intent.createChooser(send, getString(R.string.share)));
        } catch (ActivityNotFoundException e) {
            session.complain(getString(R.string.nothing_to_share_with));
        }
    }

    // --- The session on the screen -----------------------------------------------------------------------------------

    @Override
    void render() {
        boolean isRunning = session.isRunning;
        back.enable(isRunning);
        if (isRunning) { // a dark screen slows the processors down, and one that turns is drawn anew
            getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
            setRequestedOrientation(ActivityInfo.SCREEN_ORIENTATION_LOCKED);
        } else {
            getWindow().clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
            setRequestedOrientation(ActivityInfo.SCREEN_ORIENTATION_UNSPECIFIED);
        }
        screen.show(R.id.run, !isRunning);
        screen.show(R.id.running, isRunning);
        findViewById(R.id.xnnpack).setEnabled(!isRunning);
        for (int id : new int[] {R.id.threads_1, R.id.threads_2, R.id.threads_4}) {
            findViewById(id).setEnabled(!isRunning);
        }
        screen.show(R.id.golden_passed, isRunning && session.step.matches(AFTER_REPLAY));
        screen.setText(R.id.step, step());
        screen.setText(R.id.message, session.message);
        screen.show(R.id.report_card, session.report != null);
        if (session.report != null && session.report != shown) {
            shown = session.report;
            renderReport(session.report);
        }
    }

    private String step() {
        String name = getString(stepName(session.step));
        return session.of > 0 ? getString(R.string.step_of, name, session.done, session.of) : name;
    }

    private static int stepName(String step) {
        switch (step) {
            case "files":
                return R.string.step_files;
            case "golden":
                return R.string.step_golden;
            case "cooling":
                return R.string.step_cooling;
            case "load":
                return R.string.step_load;
            case "warm-up":
                return R.string.step_warmup;
            case "inference":
                return R.string.step_inference;
            case "stages":
                return R.string.step_stages;
            case "sustained":
                return R.string.step_sustained;
            case "camera":
                return R.string.step_camera;
            case "answers":
                return R.string.step_answers;
            default:
                return R.string.running;
        }
    }

    private void renderReport(DeviceReport report) {
        TextView golden = findViewById(R.id.golden);
        boolean isMismatch = report.failureStage.matches("decode|preprocess|probabilities");
        if (report.hasFailed()) {
            int text = isMismatch ? R.string.fail : R.string.failed_only;
            golden.setText(getString(text, report.failureStage) + "\n" + report.failureReason);
        } else {
            golden.setText(getString(R.string.pass, report.goldenImages, Numbers.small(report.largestChange)));
        }
        golden.setTextColor(getColor(report.hasFailed() ? R.color.bad : R.color.good));
        golden.setBackgroundResource(report.hasFailed() ? R.drawable.banner_bad : R.drawable.banner_good);
        new ReportRows(this, findViewById(R.id.facts)).show(report);
        screen.setText(R.id.headline, ReportRows.headline(this, report));
        screen.setText(R.id.saved, session.handedOver == null ? "" : getString(R.string.saved, session.handedOver));
    }
}
