package org.edgekd.demo;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.Activity;
import android.app.AlertDialog;
import android.content.ClipData;
import android.content.Intent;
import android.content.res.Configuration;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.net.Uri;
import android.os.Bundle;
import android.provider.MediaStore;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ListView;
import android.widget.ProgressBar;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.edgekd.core.Classifier;
import org.edgekd.core.FieldLog;
import org.edgekd.core.Hash;
import org.edgekd.core.LogEntry;
import org.edgekd.core.Model;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowActivity;
import org.robolectric.shadows.ShadowAlertDialog;

/** The Classify screen, from an image to the answer of the real model in the phone's own TensorFlow Lite. */
@RunWith(RobolectricTestRunner.class)
public class ClassifyTest {
    private ActivityController<ClassifyActivity> controller;

    @Before
    public void setUp() {
        Phone.needsTflite();
    }

    private ClassifyActivity start() throws Exception {
        return start(new Intent());
    }

    private ClassifyActivity start(Intent intent) throws Exception {
        controller = Robolectric.buildActivity(ClassifyActivity.class, intent).setup();
        Phone.await("the model", () -> session().model != null || !session().modelMessage.isEmpty());
        return controller.get();
    }

    private ClassifySession session() {
        return (ClassifySession) controller.get().onRetainNonConfigurationInstance();
    }

    private void awaitAnswer() throws Exception {
        Phone.await("an answer", () -> !session().isBusy);
    }

    private void sample(int index) throws Exception {
        ((ViewGroup) controller.get().findViewById(R.id.samples)).getChildAt(index).performClick();
        awaitAnswer();
    }

    @Test
    public void samplesGiveWhatPythonGives() throws Exception {
        ClassifyActivity activity = start();
        Model model = session().model;
        assertEquals("TensorFlow Lite 2.21.0, XNNPACK", session().runtime);
        for (int i = 0; i < model.samples.size(); i++) {
            sample(i);
            assertEquals("", session().message);
            float[] probs = session().result.probs();
            double[] expected = model.golden.probs(i);
            for (int k = 0; k < expected.length; k++) {
                assertEquals(expected[k], probs[k], model.golden.tolerance);
            }
        }
        assertTrue(Phone.isShown(activity, R.id.answer_card));
        assertTrue(Phone.text(activity, R.id.times).matches("Decode [0-9.,]+ ms · preprocess .* ms · inference .* ms"));
        assertEquals("Research demo, not a medical device", Phone.text(activity, R.id.notice));
        assertEquals(model.notice, Phone.text(activity, R.id.model_notice));
    }

    @Test
    public void barsAreTheProbabilities() throws Exception {
        ClassifyActivity activity = start();
        sample(0);
        ViewGroup rows = activity.findViewById(R.id.probabilities);
        assertEquals(4, rows.getChildCount());
        int[] ranked = session().result.ranked();
        for (int i = 0; i < 4; i++) {
            View row = rows.getChildAt(i);
            float p = session().result.probs()[ranked[i]];
            assertEquals(Math.round(1000 * p), ((ProgressBar) row.findViewById(R.id.bar)).getProgress());
            String label = session().model.displayNames.get(ranked[i]);
            assertEquals(label + ": " + Numbers.percent(p), row.getContentDescription().toString());
        }
    }

    @Test
    public void picksAPhoto() throws Exception {
        ClassifyActivity activity = start();
        activity.findViewById(R.id.pick).performClick();
        ShadowActivity.IntentForResult sent = shadowOf(activity).getNextStartedActivityForResult();
        assertEquals(MediaStore.ACTION_PICK_IMAGES, sent.intent.getAction());
        assertEquals("image/*", sent.intent.getType());
        Uri uri = Phone.document("exif-6.jpg");
        shadowOf(activity).receiveResult(sent.intent, Activity.RESULT_OK, new Intent().setData(uri));
        assertTrue(Phone.isShown(activity, R.id.busy));
        awaitAnswer();
        activity.findViewById(R.id.map).performClick(); // the image without its map
        assertEquals("The image, 47 by 61 pixels", told(activity));
        assertEquals(47, session().picture.getWidth());
        assertFalse(Phone.isShown(activity, R.id.busy));
        assertTrue(Phone.isShown(activity, R.id.answer_card));
    }

    @Test
    public void nothingPickedChangesNothing() throws Exception {
        ClassifyActivity activity = start();
        sample(0);
        activity.findViewById(R.id.pick).performClick();
        Intent sent = shadowOf(activity).getNextStartedActivityForResult().intent;
        shadowOf(activity).receiveResult(sent, Activity.RESULT_CANCELED, null);
        assertNotNull(session().result);
    }

    @Test
    public void noAppToPickWith() throws Exception {
        ClassifyActivity activity = start();
        shadowOf(RuntimeEnvironment.getApplication()).checkActivities(true);
        activity.findViewById(R.id.pick).performClick();
        assertTrue(Phone.text(activity, R.id.message), Phone.text(activity, R.id.message).contains("Share one"));
        shadowOf(RuntimeEnvironment.getApplication()).checkActivities(false);
    }

    @Test
    public void takesASharedImage() throws Exception {
        Uri uri = Phone.document("lossy.webp");
        start(new Intent(Intent.ACTION_SEND).setType("image/webp").putExtra(Intent.EXTRA_STREAM, uri));
        awaitAnswer();
        assertNotNull(session().result);
    }

    @Test
    public void refusesSharesThatAreNone() throws Exception {
        Intent[] intents = {
            new Intent(Intent.ACTION_SEND),
            new Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, "text"),
            new Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, Uri.parse("file:///etc/passwd")),
            new Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, Uri.parse("content://org.example.none/1")),
        };
        for (Intent intent : intents) {
            ClassifyActivity activity = start(intent);
            awaitAnswer();
            assertTrue(Phone.isShown(activity, R.id.message));
            assertNull(session().result);
            controller.pause().stop().destroy();
        }
    }

    @Test
    public void everyBadImageHasAMessageAndTheNextWorks() throws Exception {
        ClassifyActivity activity = start();
        for (String name : Resources.bad()) {
            session().show(ImageSource.of(Phone.document(name)));
            awaitAnswer();
            assertTrue(name, Phone.isShown(activity, R.id.message));
            assertNull(name, session().result);
            assertFalse(name, Phone.isShown(activity, R.id.answer_card));
            assertTrue(Phone.text(activity, R.id.message), Phone.text(activity, R.id.message).matches("[A-Z].*\\."));
        }
        sample(1);
        assertFalse(Phone.isShown(activity, R.id.message));
        assertNotNull(session().result);
    }

    @Test
    public void everyOddImageHasAnAnswer() throws Exception {
        start();
        String names = "tiny.png tiny.jpg thin.png animated.gif animated.webp cmyk.jpg deep-grey.png deep-rgba.png"
                + " 1bit.png 100-megapixels.png";
        for (String name : names.split(" ")) {
            session().show(ImageSource.of(Phone.document(name)));
            awaitAnswer();
            assertEquals(name, "", session().message);
            assertNotNull(name, session().result);
            assertTrue(session().picture.getWidth() <= 768);
        }
    }

    @Test
    public void streamsThatBreakOrNeverEnd() throws Exception {
        start();
        Uri uri = Uri.parse("content://org.example.files/broken");
        InputStream breaks = new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("the card was taken out");
            }
        };
        shadowOf(Phone.context().getContentResolver()).registerInputStreamSupplier(uri, () -> breaks);
        session().show(ImageSource.of(uri));
        awaitAnswer();
        assertEquals("The image can't be read: the card was taken out", session().message);
        InputStream endless = new InputStream() {
            @Override
            public int read() {
                return 7;
            }

            @Override
            public int read(byte[] piece, int from, int count) {
                return count;
            }
        };
        shadowOf(Phone.context().getContentResolver()).registerInputStreamSupplier(uri, () -> endless);
        session().show(ImageSource.of(uri));
        awaitAnswer();
        assertTrue(session().message, session().message.matches("The image can't be read: more than [0-9]+ bytes"));
    }

    @Test
    public void heatMapOfTheAnswer() throws Exception {
        ClassifyActivity activity = start();
        sample(0);
        activity.findViewById(R.id.explain).performClick();
        assertTrue(Phone.isShown(activity, R.id.explaining));
        assertFalse(Phone.isShown(activity, R.id.explain));
        Phone.await("the heat map", () -> session().heated != null);
        assertEquals(session().of, session().done);
        assertTrue(session().largestDrop > 0);
        assertTrue(Phone.text(activity, R.id.legend).contains(Numbers.points(session().largestDrop)));
        assertTrue(differs(session().picture, session().heated));
        assertTrue(activity.findViewById(R.id.picture).getContentDescription().toString().contains("heat map"));
        assertFalse(Phone.isShown(activity, R.id.map));
        activity.findViewById(R.id.explain).performClick();
        assertNull(session().heated);
        assertTrue(Phone.text(activity, R.id.legend).contains("own heat map")); // the model's own again
    }

    private static String told(Activity activity) {
        return activity.findViewById(R.id.picture).getContentDescription().toString();
    }

    @Test
    public void theModelsOwnMapComesWithTheAnswer() throws Exception {
        ClassifyActivity activity = start();
        for (int i = 0; i < session().model.samples.size(); i++) {
            sample(i);
            assertNull(session().heated);
            assertTrue(differs(session().picture, session().mapped));
            assertEquals(session().mapped, session().shown());
            String where = session().region.name().toLowerCase(Locale.ROOT).replace('_', ' ');
            String best = session().model.displayNames.get(session().result.best);
            for (String text : new String[] {told(activity), Phone.text(activity, R.id.legend)}) {
                assertTrue(text, text.matches(".*" + best + " is strongest (in|at|on) the " + where + " of the image.*"));
            }
            assertEquals("Second opinion: cover parts", Phone.text(activity, R.id.explain));
        }
    }

    @Test
    public void itsMeansAndBiasesAreTheLogits() throws Exception {
        start();
        sample(1);
        Classifier.Result found = session().result;
        double[] logits = new double[4];
        for (int k = 0; k < 4; k++) {
            for (float value : found.map.of(k).values()) {
                logits[k] += value / found.map.of(k).values().length;
            }
        }
        for (int k = 0; k < 4; k++) { // biases are below 0.01, and a step of the map is 0.31
            double ratio = Math.log(found.probs()[k] / found.probs()[found.best]) * session().model.temperature;
            assertEquals(ratio, logits[k] - logits[found.best], 0.25);
        }
    }

    @Test
    public void theMapCanBeHiddenAndStaysSo() throws Exception {
        ClassifyActivity activity = start();
        sample(0);
        assertEquals("Hide heat map", Phone.text(activity, R.id.map));
        activity.findViewById(R.id.map).performClick();
        assertEquals(session().picture, session().shown());
        assertFalse(Phone.isShown(activity, R.id.legend));
        assertTrue(told(activity), told(activity).matches("The image, .* pixels"));
        sample(1);
        assertEquals(session().picture, session().shown());
        assertEquals("Show heat map", Phone.text(activity, R.id.map));
        activity.findViewById(R.id.map).performClick();
        assertEquals(session().mapped, session().shown());
    }

    @Test
    public void aModelWithoutAMapIsExplainedByOcclusionAlone() throws Exception {
        Zips.take("heatmap", null);
        ClassifyActivity activity = start();
        sample(0);
        assertNull(session().mapped);
        assertFalse(Phone.isShown(activity, R.id.map));
        assertFalse(Phone.isShown(activity, R.id.legend));
        assertEquals("Show what matters", Phone.text(activity, R.id.explain));
    }

    static Map<String, Object> sets(double quantile) {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("alpha", 0.1);
        found.put("quantile", quantile);
        return found;
    }

    @Test
    public void severalClassesThatMayBeRightAreAllNamed() throws Exception {
        Zips.take("conformal", sets(0.9)); // of the first sample 83 % and 12 % are likely enough
        ClassifyActivity activity = start();
        sample(0);
        assertEquals("no tumour or glioma", Phone.text(activity, R.id.answer));
        assertTrue(Phone.text(activity, R.id.unsure).startsWith("The most probable is no tumour, but each of these may"));
        assertTrue(Phone.text(activity, R.id.unsure).contains("at most 10% should"));
    }

    @Test
    public void allClassesAreNotSure() throws Exception {
        Zips.take("conformal", sets(1.0));
        ClassifyActivity activity = start();
        sample(0);
        assertEquals("Not sure", Phone.text(activity, R.id.answer));
        assertTrue(Phone.text(activity, R.id.unsure).startsWith("No class can be ruled out"));
    }

    @Test
    public void noClassIsNotSure() throws Exception {
        Zips.take("conformal", sets(0.01)); // 83 % are too few
        ClassifyActivity activity = start();
        sample(0);
        assertEquals("Not sure", Phone.text(activity, R.id.answer));
        assertTrue(Phone.text(activity, R.id.unsure).startsWith("No class is likely enough"));
    }

    private static boolean differs(Bitmap a, Bitmap b) {
        return a.getWidth() != b.getWidth() || !a.sameAs(b);
    }

    @Test
    public void heatMapCanBeCancelled() throws Exception {
        ClassifyActivity activity = start();
        sample(0);
        activity.findViewById(R.id.explain).performClick();
        Phone.await("some passes", () -> session().done > 2);
        activity.findViewById(R.id.cancel).performClick();
        assertFalse(session().isExplaining);
        assertTrue(Phone.isShown(activity, R.id.explain));
        sample(1); // the worker is free again
        assertNull(session().heated);
        assertNotNull(session().result);
    }

    @Test
    public void rotationInTheMiddleOfWorkLosesNothing() throws Exception {
        start();
        session().show(ImageSource.of(Phone.document("420.jpg")));
        ClassifyActivity before = controller.get();
        ClassifySession same = session();
        turn();
        assertNotSame(before, controller.get());
        assertEquals(same, session());
        awaitAnswer();
        assertTrue(Phone.isShown(controller.get(), R.id.answer_card));
        controller.get().findViewById(R.id.explain).performClick();
        Phone.await("some passes", () -> session().done > 2);
        RuntimeEnvironment.setQualifiers("+port");
        controller.configurationChange(configuration());
        Phone.await("the heat map", () -> session().heated != null);
        assertTrue(Phone.isShown(controller.get(), R.id.legend));
    }

    private void turn() {
        RuntimeEnvironment.setQualifiers("+land");
        controller.configurationChange(configuration());
    }

    private Configuration configuration() {
        return new Configuration(RuntimeEnvironment.getApplication().getResources().getConfiguration());
    }

    @Test
    public void backgroundInTheMiddleOfWorkLosesNothing() throws Exception {
        ClassifyActivity activity = start();
        session().show(ImageSource.of(Phone.document("rgba.png")));
        controller.pause().stop();
        awaitAnswer();
        assertFalse(Phone.isShown(activity, R.id.answer_card)); // no one looks
        controller.restart().start().resume();
        assertTrue(Phone.isShown(activity, R.id.answer_card));
    }

    @Test
    public void endOfTheProcessLosesNothing() throws Exception {
        start();
        session().show(ImageSource.of(Phone.document("420.jpg")));
        awaitAnswer();
        float[] probs = session().result.probs();
        controller.get().findViewById(R.id.explain).performClick();
        Bundle saved = new Bundle();
        controller.pause().stop().saveInstanceState(saved).destroy();
        controller = Robolectric.buildActivity(ClassifyActivity.class);
        controller.create(saved).start().restoreInstanceState(saved).resume();
        Phone.await("the heat map", () -> session().heated != null);
        assertArrayEquals(probs, session().result.probs(), 0f);
    }

    @Test
    public void leavingReleasesTheModel() throws Exception {
        start();
        session().show(ImageSource.of(Phone.document("420.jpg")));
        controller.get().finish();
        controller.pause().stop().destroy();
        Phone.await("its threads", () -> true);
        assertTrue(controller.get().isDestroyed());
    }

    @Test
    public void aModelThatWasDamagedHasAMessageAndAWayBack() throws Exception {
        Zips.take("name", "damaged");
        File folder = EmbeddedModel.store(Phone.context()).current();
        Files.write(new File(folder, "model.tflite").toPath(), "This is no model.".getBytes(StandardCharsets.UTF_8));
        ClassifyActivity activity = start();
        String message = Phone.text(activity, R.id.message);
        assertTrue(message, message.contains("is not the file that model.json describes"));
        assertTrue(message, message.contains("Go back to the built-in one"));
        session().show(ImageSource.of(Phone.document("420.jpg")));
        awaitAnswer();
        assertTrue(Phone.isShown(activity, R.id.message));
        assertNull(session().result);
        Files.write(new File(folder, "model.json").toPath(), "{".getBytes(StandardCharsets.UTF_8));
        controller.pause().stop().destroy();
        assertTrue(Phone.text(start(), R.id.message).contains("can't be used"));
        EmbeddedModel.store(Phone.context()).forget();
        controller.pause().stop().restart().start().resume();
        Phone.await("the built-in model", () -> session().model != null);
        assertEquals("mri4p-mobilenetv2", session().model.name);
    }

    @Test
    public void anImportedModelAnswersAsSoonAsTheScreenIsBack() throws Exception {
        ClassifyActivity activity = start();
        session().show(ImageSource.of(Phone.document("420.jpg")));
        awaitAnswer();
        controller.pause().stop();
        Zips.take("label_names", Arrays.asList("a", "b", "c", "small_cell"));
        controller.restart().start().resume();
        Phone.await("an answer of the other", () -> session().model != null && session().result != null);
        assertEquals("small_cell", session().model.labelNames.get(3));
        assertTrue(Phone.text(activity, R.id.model).endsWith("· imported"));
        sample(0);
        controller.pause().stop();
        EmbeddedModel.store(Phone.context()).forget();
        controller.restart().start().resume();
        Phone.await("the built-in model", () -> session().model != null);
        assertNull(session().source); // its sample is gone with it
        assertFalse(Phone.isShown(activity, R.id.answer_card));
    }

    private FieldLog.Content log() throws IOException {
        return LogSession.log(Phone.context()).read();
    }

    private ClassifyActivity answered(String image) throws Exception {
        ClassifyActivity activity = start();
        session().show(ImageSource.of(Phone.document(image)));
        awaitAnswer();
        assertNotNull(session().message, session().result);
        return activity;
    }

    @Test
    public void aRightAnswerIsMarked() throws Exception {
        ClassifyActivity activity = answered("420.jpg");
        String best = session().model.displayNames.get(session().result.best);
        assertTrue(Phone.text(activity, R.id.mark_text).startsWith("Is it " + best + "?"));
        assertFalse(Phone.isShown(activity, R.id.undo));
        activity.findViewById(R.id.right).performClick();
        Phone.await("the mark", () -> session().marked != null);
        assertEquals("Marked as right. Marks in the log: 1", Phone.text(activity, R.id.mark_text));
        assertFalse(Phone.isShown(activity, R.id.right));
        LogEntry entry = log().entries.get(0);
        assertEquals(Hash.sha256(Resources.image("420.jpg")), entry.imageSha256);
        assertEquals(session().model.sha256, entry.modelSha256);
        assertEquals(session().result.best, entry.trueLabel);
        assertEquals(session().result.isUnsure, entry.isUnsure);
        assertEquals(session().result.confidence, entry.confidence(), 1e-6);
        activity.findViewById(R.id.undo).performClick();
        Phone.await("its end", () -> session().marked == null);
        assertEquals(0, log().entries.size());
        assertTrue(Phone.isShown(activity, R.id.right));
    }

    @Test
    public void aWrongAnswerIsMarkedWithWhatItIs() throws Exception {
        ClassifyActivity activity = answered("420.jpg");
        activity.findViewById(R.id.wrong).performClick();
        AlertDialog asking = ShadowAlertDialog.getLatestAlertDialog();
        ListView names = asking.getListView();
        assertEquals(4, names.getAdapter().getCount());
        int second = session().result.ranked()[1];
        assertEquals(session().model.displayNames.get(second), names.getAdapter().getItem(0));
        assertEquals("Something else, or not known", names.getAdapter().getItem(3));
        shadowOf(asking).clickOnItem(0);
        Phone.await("the mark", () -> session().marked != null);
        assertEquals(second, log().entries.get(0).trueLabel);
        assertTrue(Phone.text(activity, R.id.mark_text)
                .startsWith("Marked as wrong, it is " + session().model.displayNames.get(second)));
        activity.findViewById(R.id.undo).performClick();
        Phone.await("its end", () -> session().marked == null);
        activity.findViewById(R.id.wrong).performClick();
        shadowOf(ShadowAlertDialog.getLatestAlertDialog()).clickOnItem(3);
        Phone.await("the mark", () -> session().marked != null);
        assertEquals(-1, log().entries.get(0).trueLabel);
    }

    @Test
    public void aMarkIsThereAgainAndTheDialogLeavesWithItsScreen() throws Exception {
        answered("420.jpg").findViewById(R.id.right).performClick();
        Phone.await("the mark", () -> session().marked != null);
        controller.pause().stop().destroy();
        ClassifyActivity activity = answered("420.jpg");
        assertEquals("Marked as right. Marks in the log: 1", Phone.text(activity, R.id.mark_text));
        session().show(ImageSource.of(Phone.document("422.jpg")));
        awaitAnswer();
        assertTrue(Phone.text(activity, R.id.mark_text).startsWith("Is it "));
        activity.findViewById(R.id.wrong).performClick();
        AlertDialog asking = ShadowAlertDialog.getLatestAlertDialog();
        turn();
        assertFalse(asking.isShowing());
        assertTrue(Phone.isShown(controller.get(), R.id.wrong));
    }

    @Test
    public void aLogThatCannotBeWrittenSaysSo() throws Exception {
        assertTrue(new File(Phone.context().getFilesDir(), "field-log").createNewFile());
        ClassifyActivity activity = answered("420.jpg");
        activity.findViewById(R.id.right).performClick();
        Phone.await("a message", () -> !session().message.isEmpty());
        assertTrue(Phone.text(activity, R.id.message).startsWith("The mark could not be noted: no folder"));
        assertTrue(Phone.isShown(activity, R.id.right));
        assertNotNull(session().result);
    }

    @Test
    public void generatedPicturesSaySoAndAreNotMarked() throws Exception {
        ClassifyActivity activity = start();
        assertEquals("Generated samples", Phone.text(activity, R.id.samples_title));
        View button = ((ViewGroup) activity.findViewById(R.id.samples)).getChildAt(2);
        assertEquals("Generated sample: Synthetic picture 3, no tumour", button.getContentDescription().toString());
        sample(2);
        assertTrue(Phone.isShown(activity, R.id.generated));
        assertFalse(Phone.isShown(activity, R.id.mark));
        String shared = new AnswerWords(activity, session().model).shared(session().result, session().source.isSample());
        assertTrue(shared, shared.contains("\nGenerated, no patient\n"));
        session().show(ImageSource.of(Phone.document("420.jpg")));
        awaitAnswer();
        assertFalse(Phone.isShown(activity, R.id.generated));
        assertTrue(Phone.isShown(activity, R.id.mark));
    }

    @Test
    @SuppressWarnings("deprecation")
    public void anAnswerIsSharedAsPictureAndText() throws Exception {
        ClassifyActivity activity = answered("420.jpg");
        activity.findViewById(R.id.share).performClick();
        Phone.await("the list of apps", () -> shadowOf(activity).peekNextStartedActivity() != null);
        Intent sent = shadowOf(activity).getNextStartedActivity().getParcelableExtra(Intent.EXTRA_INTENT);
        String text = sent.getStringExtra(Intent.EXTRA_TEXT);
        String[] lines = text.split("\n");
        assertEquals(Phone.text(activity, R.id.answer), lines[0]);
        assertEquals(7, lines.length);
        String sha256 = session().model.sha256.substring(0, 12);
        assertEquals("Model mri4p-mobilenetv2, " + sha256, lines[5]);
        assertEquals("Research demo, not a medical device", lines[6]);
        assertEquals("image/png", sent.getType());
        assertTrue((sent.getFlags() & Intent.FLAG_GRANT_READ_URI_PERMISSION) != 0);
        Uri uri = sent.getParcelableExtra(Intent.EXTRA_STREAM);
        String name = "edgekd-answer-" + Hash.sha256(Resources.image("420.jpg")).substring(0, 12) + ".png";
        assertEquals("content://org.edgekd.demo.reports/" + name, uri.toString());
        Robolectric.setupContentProvider(ReportProvider.class, uri.getAuthority());
        assertEquals("image/png", Phone.context().getContentResolver().getType(uri));
        try (InputStream in = Phone.context().getContentResolver().openInputStream(uri)) {
            Bitmap picture = BitmapFactory.decodeStream(in);
            assertEquals(768, picture.getWidth());
            assertTrue(picture.getHeight() > 768 * 61 / 47 / 2);
        }
        assertNull(session().shared); // once
        for (String other : "edgekd-answer-0.png edgekd-field-log.csv edgekd-answer-000000000000.png".split(" ")) {
            Uri none = Uri.parse("content://org.edgekd.demo.reports/" + other);
            assertThrows(FileNotFoundException.class, () -> Phone.context().getContentResolver().openInputStream(none));
        }
    }

    @Test
    public void theOtherScreensOpen() throws Exception {
        ClassifyActivity activity = start();
        activity.findViewById(R.id.field_log).performClick();
        assertEquals(LogActivity.class.getName(), next(activity));
        activity.findViewById(R.id.model_screen).performClick();
        assertEquals(ModelActivity.class.getName(), next(activity));
    }

    private static String next(Activity activity) {
        return shadowOf(activity).getNextStartedActivity().getComponent().getClassName();
    }

    @Test
    @SuppressWarnings("deprecation")
    public void severalThatArePickedGoToTheList() throws Exception {
        ClassifyActivity activity = start();
        activity.findViewById(R.id.pick).performClick();
        Intent sent = shadowOf(activity).getNextStartedActivityForResult().intent;
        assertEquals(BatchSession.MOST, sent.getIntExtra(MediaStore.EXTRA_PICK_IMAGES_MAX, 0));
        Uri first = Phone.document("420.jpg");
        ClipData several = ClipData.newRawUri("", first);
        several.addItem(new ClipData.Item(Phone.document("422.jpg")));
        several.addItem(new ClipData.Item(first)); // again
        Intent picked = new Intent();
        picked.setClipData(several);
        shadowOf(activity).receiveResult(sent, Activity.RESULT_OK, picked);
        Intent list = shadowOf(activity).getNextStartedActivity();
        assertEquals(BatchActivity.class.getName(), list.getComponent().getClassName());
        assertEquals(2, list.getParcelableArrayListExtra(Intent.EXTRA_STREAM).size());
        assertNull(session().source);
    }

    @Test
    public void withoutSetsItIsNotSureBelowTheLimit() throws Exception {
        Zips.take("conformal", null);
        ClassifyActivity activity = start();
        boolean[] seen = new boolean[2];
        for (Resources.Expected image : Resources.good()) {
            if (image.width == 61) {
                session().show(ImageSource.of(Phone.document(image.name)));
                awaitAnswer();
                boolean isUnsure = session().result.confidence < session().model.unsureBelow;
                seen[isUnsure ? 1 : 0] = true;
                assertEquals(isUnsure, Phone.text(activity, R.id.answer).equals("Not sure"));
                assertEquals(isUnsure, Phone.isShown(activity, R.id.unsure));
            }
        }
        assertTrue("no image was unsure", seen[1]);
    }

    @Test
    @Config(qualifiers = "ar-ldrtl")
    public void rightToLeft() throws Exception {
        ClassifyActivity activity = start();
        sample(0);
        ViewGroup root = activity.findViewById(R.id.scroll);
        assertEquals(View.LAYOUT_DIRECTION_RTL, root.getLayoutDirection());
        View row = ((ViewGroup) activity.findViewById(R.id.probabilities)).getChildAt(0);
        assertTrue(row.findViewById(R.id.label).getLeft() > row.findViewById(R.id.percent).getLeft());
    }

    @Test
    @Config(qualifiers = "w320dp-h480dp")
    public void largeFontOnASmallScreenCutsNothing() throws Exception {
        RuntimeEnvironment.setFontScale(2.0f);
        ClassifyActivity activity = start();
        sample(2);
        LayoutChecks.nothingIsCut(activity.findViewById(android.R.id.content));
    }

    @Test
    public void everythingHasAnAccessibleName() throws Exception {
        ClassifyActivity activity = start();
        sample(0);
        LayoutChecks.controlsHaveNames(activity.findViewById(android.R.id.content));
    }
}
