package org.edgekd.demo;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.AlertDialog;
import android.content.DialogInterface;
import android.content.Intent;
import android.content.res.Configuration;
import android.net.Uri;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;
import java.io.File;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import org.edgekd.core.Hash;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowAlertDialog;

/** The screen of the field log: what the marks say, out of the app and away. */
@RunWith(RobolectricTestRunner.class)
public class LogTest {
    private static final String HEADER =
            "time,model,model_sha256,image_sha256,probs,answer,set,unsure,mark,true_label\n";
    private ActivityController<LogActivity> controller;

    private LogActivity start() throws Exception {
        controller = Robolectric.buildActivity(LogActivity.class).setup();
        Phone.await("the log", () -> session().scores != null || !session().message.isEmpty());
        return controller.get();
    }

    private LogSession session() {
        return (LogSession) controller.get().onRetainNonConfigurationInstance();
    }

    private static File file() {
        return new File(Phone.context().getFilesDir(), "field-log/log.csv");
    }

    /** Marks as another day left them: three of four right, one of them not sure; with sets. */
    static void write() throws Exception {
        String sha256 = EmbeddedModel.read(EmbeddedModel.files(Phone.context())).sha256;
        StringBuilder text = new StringBuilder(HEADER);
        String[][] rows = {{"0.97", "right", "notumor", "no"}, {"0.94", "right", "notumor", "no"},
            {"0.55", "right", "notumor", "yes"}, {"0.91", "wrong", "glioma", "no"}};
        for (int i = 0; i < rows.length; i++) {
            double rest = 1 - Double.parseDouble(rows[i][0]);
            text.append("2026-03-01T10:20:3").append(i).append("Z,mri4p-mobilenetv2,").append(sha256).append(',')
                    .append(Hash.sha256(new byte[] {(byte) i})).append(",\"{\"\"glioma\"\":").append(rest)
                    .append(",\"\"meningioma\"\":0,\"\"notumor\"\":").append(rows[i][0])
                    .append(",\"\"pituitary\"\":0}\",notumor,\"[\"\"notumor\"\"]\",")
                    .append(rows[i][3]).append(',').append(rows[i][1]).append(',').append(rows[i][2]).append('\n');
        }
        assertTrue(file().getParentFile().mkdirs());
        Files.write(file().toPath(), text.toString().getBytes(StandardCharsets.UTF_8));
    }

    private static View card(LogActivity activity, int index) {
        return ((ViewGroup) activity.findViewById(R.id.cards)).getChildAt(index);
    }

    private static String fact(View card, int index) {
        return ((ViewGroup) card.findViewById(R.id.facts)).getChildAt(index).getContentDescription().toString();
    }

    private static String text(View card, int id) {
        return ((TextView) card.findViewById(id)).getText().toString();
    }

    @Test
    public void anEmptyLogSaysWhatToDo() throws Exception {
        LogActivity activity = start();
        assertTrue(Phone.isShown(activity, R.id.empty));
        assertFalse(Phone.isShown(activity, R.id.share));
        assertFalse(Phone.isShown(activity, R.id.clear));
    }

    @Test
    public void whatTheMarksSay() throws Exception {
        write();
        LogActivity activity = start();
        assertFalse(Phone.isShown(activity, R.id.empty));
        View card = card(activity, 0);
        assertTrue(text(card, R.id.log_model).startsWith("Model mri4p-mobilenetv2, "));
        assertEquals("75.0% right", text(card, R.id.log_accuracy));
        // SciPy: binomtest(3, 4).proportion_ci(method="exact")
        assertEquals("3 of 4, 95% interval 19.4% to 99.4%", text(card, R.id.log_interval));
        assertEquals("Not sure: 25.0%, 1 of 4\n0.6% to 80.6%", fact(card, 0));
        assertEquals("Right where sure: 66.7%, 2 of 3\n9.4% to 99.2%", fact(card, 1));
        assertTrue(fact(card, 2).startsWith("True class among those named: 75.0%"));
        assertEquals("Calibration error (ECE): 36.2 points", fact(card, 3)); // (0.09 + 0.45 + 0.91) / 4
        assertTrue(fact(card, 5).startsWith("glioma: 0.0%, 0 of 1\n0.0% to 97.5%"));
        assertEquals("meningioma: none yet", fact(card, 6));
        assertTrue(fact(card, 7).startsWith("no tumour: 100.0%, 3 of 3\n29.2% to 100.0%"));
        String diagram = card.findViewById(R.id.reliability).getContentDescription().toString();
        assertTrue(diagram, diagram.contains("Of answers with a confidence of about 55.0%, 100.0% are right, of 1."));
    }

    @Test
    @SuppressWarnings("deprecation")
    public void theLogIsSharedAsCsv() throws Exception {
        write();
        byte[] expected = Files.readAllBytes(file().toPath());
        Files.write(file().toPath(), "damaged\n".getBytes(StandardCharsets.UTF_8), StandardOpenOption.APPEND);
        LogActivity activity = start();
        assertEquals("Rows that cannot be read and do not count: 1", Phone.text(activity, R.id.message));
        activity.findViewById(R.id.share).performClick();
        Phone.await("the list of apps", () -> shadowOf(activity).peekNextStartedActivity() != null);
        Intent sent = shadowOf(activity).getNextStartedActivity().getParcelableExtra(Intent.EXTRA_INTENT);
        assertEquals("text/csv", sent.getType());
        Uri uri = sent.getParcelableExtra(Intent.EXTRA_STREAM);
        assertEquals("content://org.edgekd.demo.reports/edgekd-field-log.csv", uri.toString());
        Robolectric.setupContentProvider(ReportProvider.class, uri.getAuthority());
        try (InputStream in = Phone.context().getContentResolver().openInputStream(uri)) {
            assertArrayEquals(expected, Bytes.read(in, 1 << 20, () -> false));
        }
        assertNull(session().shared);
    }

    @Test
    public void clearingAsksFirst() throws Exception {
        write();
        LogActivity activity = start();
        activity.findViewById(R.id.share).performClick();
        Phone.await("the list of apps", () -> shadowOf(activity).peekNextStartedActivity() != null);
        activity.findViewById(R.id.clear).performClick();
        AlertDialog asking = ShadowAlertDialog.getLatestAlertDialog();
        assertEquals("Clear the log? Marks that are lost: 4", shadowOf(asking).getMessage().toString());
        asking.getButton(DialogInterface.BUTTON_NEGATIVE).performClick();
        assertEquals(4, session().entries);
        activity.findViewById(R.id.clear).performClick();
        ShadowAlertDialog.getLatestAlertDialog().getButton(DialogInterface.BUTTON_POSITIVE).performClick();
        Phone.await("its end", () -> session().entries == 0);
        assertTrue(Phone.isShown(activity, R.id.empty));
        assertFalse(file().exists());
        assertEquals(0, SharedFile.folder(Phone.context()).list().length);
        assertEquals(0, ((ViewGroup) activity.findViewById(R.id.cards)).getChildCount());
    }

    @Test
    public void rotationKeepsTheScreen() throws Exception {
        write();
        start();
        LogSession same = session();
        controller.get().findViewById(R.id.clear).performClick();
        AlertDialog asking = ShadowAlertDialog.getLatestAlertDialog();
        RuntimeEnvironment.setQualifiers("+land");
        controller.configurationChange(
                new Configuration(RuntimeEnvironment.getApplication().getResources().getConfiguration()));
        assertFalse(asking.isShowing());
        assertEquals(same, session());
        assertEquals("75.0% right", text(card(controller.get(), 0), R.id.log_accuracy));
    }

    @Test
    @Config(qualifiers = "w320dp-h480dp")
    public void largeFontOnASmallScreenCutsNothing() throws Exception {
        write();
        RuntimeEnvironment.setFontScale(2.0f);
        LogActivity activity = start();
        LayoutChecks.nothingIsCut(activity.findViewById(android.R.id.content));
        LayoutChecks.controlsHaveNames(activity.findViewById(android.R.id.content));
    }
}
