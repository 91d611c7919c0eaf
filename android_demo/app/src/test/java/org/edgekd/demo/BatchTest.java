package org.edgekd.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.content.Intent;
import android.content.res.Configuration;
import android.net.Uri;
import android.os.Bundle;
import android.view.View;
import android.widget.ListView;
import android.widget.TextView;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.edgekd.core.Rgb;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;

/** Several images at once: one answer each, in order, whatever one of them is. */
@RunWith(RobolectricTestRunner.class)
public class BatchTest {
    private ActivityController<BatchActivity> controller;

    @Before
    public void setUp() {
        Phone.needsTflite();
    }

    private BatchActivity start(Intent intent) {
        controller = Robolectric.buildActivity(BatchActivity.class, intent).setup();
        return controller.get();
    }

    private BatchActivity start(String... names) throws Exception {
        return start(BatchActivity.of(Phone.context(), uris(names)));
    }

    private static List<Uri> uris(String... names) throws Exception {
        List<Uri> uris = new ArrayList<>();
        for (String name : names) {
            uris.add(Phone.document(name));
        }
        return uris;
    }

    private BatchSession session() {
        return (BatchSession) controller.get().onRetainNonConfigurationInstance();
    }

    private void awaitEnd() throws Exception {
        Phone.await("the last image", () -> !session().isRunning);
    }

    private static View row(BatchActivity activity, int position) {
        ListView list = activity.findViewById(R.id.list);
        return list.getAdapter().getView(position, null, list);
    }

    private static String text(View row, int id) {
        return ((TextView) row.findViewById(id)).getText().toString();
    }

    @Test
    public void eachHasTheAnswerThatItHasAlone() throws Exception {
        String[] names = {"420.jpg", "damaged.png", "rgb.png", "text.png", "exif-6.jpg"};
        BatchActivity activity = start(names);
        awaitEnd();
        assertFalse(Phone.isShown(activity, R.id.running));
        assertEquals(5, session().rows.size());
        try (EmbeddedModel model = EmbeddedModel.load(EmbeddedModel.files(Phone.context()), 1)) {
            AnswerWords words = new AnswerWords(activity, model.model);
            for (int i : new int[] {0, 2, 4}) {
                Rgb image = new AndroidDecoder().decode(Resources.image(names[i]));
                org.edgekd.core.Classifier.Result alone = model.classifier.classify(image);
                org.junit.Assert.assertArrayEquals(alone.probs(), session().rows.get(i).result.probs(), 0f);
                assertEquals(words.headline(alone), text(row(activity, i), R.id.title));
                assertNotNull(session().rows.get(i).thumbnail);
            }
        }
        for (int i : new int[] {1, 3}) {
            assertNull(session().rows.get(i).result);
            assertEquals("No answer", text(row(activity, i), R.id.title));
            String reason = text(row(activity, i), R.id.detail);
            assertTrue(reason, reason.matches("[A-Z].*\\."));
            assertEquals("Image " + (i + 1) + ": No answer. " + reason, row(activity, i).getContentDescription().toString());
        }
        assertTrue(Phone.text(activity, R.id.model).startsWith("Model mri4p-mobilenetv2, "));
        assertEquals("Research demo, not a medical device", Phone.text(activity, R.id.notice));
    }

    @Test
    public void notSureAndSetsAreNamed() throws Exception {
        Zips.take("conformal", ClassifyTest.sets(0.97));
        BatchActivity activity = start("rgb.png", "420.jpg");
        awaitEnd();
        for (int i = 0; i < 2; i++) {
            boolean isOne = !session().rows.get(i).result.isUnsure && session().rows.get(i).result.possible().length == 1;
            String detail = text(row(activity, i), R.id.detail);
            assertEquals(isOne, detail.isEmpty());
            assertTrue(detail, isOne || detail.startsWith("Most probable: "));
        }
    }

    @Test
    public void oneThatIsTouchedOpensAlone() throws Exception {
        BatchActivity activity = start("420.jpg", "damaged.png");
        awaitEnd();
        ListView list = activity.findViewById(R.id.list);
        list.performItemClick(row(activity, 1), 1, 1);
        Intent opened = shadowOf(activity).getNextStartedActivity();
        assertEquals(ClassifyActivity.class.getName(), opened.getComponent().getClassName());
        ActivityController<ClassifyActivity> single = Robolectric.buildActivity(ClassifyActivity.class, opened).setup();
        ClassifySession session = (ClassifySession) single.get().onRetainNonConfigurationInstance();
        Phone.await("the reason", () -> !session.message.isEmpty());
        assertEquals(text(row(activity, 1), R.id.detail), session.message);
        single.pause().stop().destroy();
    }

    @Test
    public void moreThanFitAreLeftOutAndSaidSo() throws Exception {
        Intent intent = new Intent(Intent.ACTION_SEND_MULTIPLE).setType("image/*");
        ArrayList<Uri> many = new ArrayList<>();
        for (int i = 0; i < BatchSession.MOST + 7; i++) {
            many.add(Phone.document(i + ".png", "no image".getBytes(java.nio.charset.StandardCharsets.UTF_8)));
        }
        BatchActivity activity = start(intent.putParcelableArrayListExtra(Intent.EXTRA_STREAM, many));
        assertEquals("The first 50 images were taken; left out: 7", Phone.text(activity, R.id.message));
        awaitEnd();
        assertEquals(BatchSession.MOST, session().done);
        assertFalse(session().rows.get(49).problem.isEmpty());
    }

    @Test
    public void sharesThatHoldNoImages() throws Exception {
        ArrayList<Uri> odd = new ArrayList<>();
        odd.add(null);
        Intent[] intents = {
            new Intent(Intent.ACTION_SEND_MULTIPLE),
            new Intent(Intent.ACTION_SEND_MULTIPLE).putExtra(Intent.EXTRA_STREAM, "text"),
            new Intent(Intent.ACTION_SEND_MULTIPLE).putExtra(Intent.EXTRA_STREAM, Uri.parse("content://one")),
            new Intent(Intent.ACTION_SEND_MULTIPLE).putParcelableArrayListExtra(Intent.EXTRA_STREAM, odd),
        };
        for (Intent intent : intents) {
            BatchActivity activity = start(intent);
            awaitEnd();
            assertEquals("Nothing was shared that the app can read.", Phone.text(activity, R.id.message));
            assertFalse(Phone.isShown(activity, R.id.running));
            controller.pause().stop().destroy();
        }
    }

    @Test
    public void filesOfTheAppItselfAreNoImages() throws Exception {
        ArrayList<Uri> odd = new ArrayList<>();
        odd.add(Uri.parse("file:///data/data/org.edgekd.demo/files/field-log/log.csv"));
        odd.add(Uri.parse("content://org.example.none/1"));
        start(new Intent(Intent.ACTION_SEND_MULTIPLE).putParcelableArrayListExtra(Intent.EXTRA_STREAM, odd));
        awaitEnd();
        assertEquals("The image can't be opened any more. Choose it again.", session().rows.get(0).problem);
        assertTrue(session().rows.get(1).problem, session().rows.get(1).problem.startsWith("The image can't be "));
    }

    /** A stream that waits until a test lets it go on, then is no image. */
    static Uri slow(CountDownLatch gate) {
        Uri uri = Uri.parse("content://org.example.files/slow");
        InputStream waits = new InputStream() {
            @Override
            public int read() {
                try {
                    gate.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
                return -1;
            }
        };
        shadowOf(Phone.context().getContentResolver()).registerInputStreamSupplier(uri, () -> waits);
        return uri;
    }

    @Test
    public void cancellingKeepsWhatIsThere() throws Exception {
        CountDownLatch gate = new CountDownLatch(1);
        List<Uri> images = uris("420.jpg", "422.jpg");
        images.add(1, slow(gate));
        BatchActivity activity = start(BatchActivity.of(Phone.context(), images));
        Phone.await("the first answer", () -> session().done == 1);
        assertEquals("Image 2 of 3", Phone.text(activity, R.id.progress));
        activity.findViewById(R.id.cancel).performClick();
        gate.countDown();
        awaitEnd();
        assertNotNull(session().rows.get(0).result);
        assertEquals("Not looked at: cancelled.", session().rows.get(1).problem);
        assertEquals("Not looked at: cancelled.", session().rows.get(2).problem);
    }

    @Test
    public void rotationInTheMiddleLosesNothing() throws Exception {
        CountDownLatch gate = new CountDownLatch(1);
        List<Uri> images = uris("420.jpg", "422.jpg");
        images.add(1, slow(gate));
        BatchActivity before = start(BatchActivity.of(Phone.context(), images));
        BatchSession same = session();
        Phone.await("the first answer", () -> session().done == 1);
        RuntimeEnvironment.setQualifiers("+land");
        controller.configurationChange(
                new Configuration(RuntimeEnvironment.getApplication().getResources().getConfiguration()));
        assertNotSame(before, controller.get());
        assertEquals(same, session());
        gate.countDown();
        awaitEnd();
        assertNotNull(session().rows.get(2).result);
        assertEquals("No answer", text(row(controller.get(), 1), R.id.title));
    }

    @Test
    public void endOfTheProcessLosesNothing() throws Exception {
        start("420.jpg", "422.jpg");
        awaitEnd();
        Intent intent = controller.get().getIntent();
        Bundle saved = new Bundle();
        controller.pause().stop().saveInstanceState(saved).destroy();
        controller = Robolectric.buildActivity(BatchActivity.class, intent);
        controller.create(saved).start().restoreInstanceState(saved).resume();
        awaitEnd();
        assertNotNull(session().rows.get(1).result);
    }

    @Test
    public void withoutAModelTheListSaysWhy() throws Exception {
        Zips.take("name", "damaged");
        java.io.File folder = EmbeddedModel.store(Phone.context()).current();
        assertTrue(new java.io.File(folder, "model.tflite").delete());
        BatchActivity activity = start("420.jpg");
        awaitEnd();
        assertTrue(Phone.text(activity, R.id.message).startsWith("The app has no model that it can use."));
    }

    @Test
    @Config(qualifiers = "w320dp-h480dp")
    public void largeFontOnASmallScreenCutsNothing() throws Exception {
        RuntimeEnvironment.setFontScale(2.0f);
        BatchActivity activity = start("damaged.png", "420.jpg");
        awaitEnd();
        LayoutChecks.nothingIsCut(activity.findViewById(android.R.id.content));
        LayoutChecks.controlsHaveNames(activity.findViewById(R.id.screen));
    }
}
