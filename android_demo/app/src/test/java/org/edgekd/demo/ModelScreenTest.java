package org.edgekd.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.Activity;
import android.content.Intent;
import android.content.res.Configuration;
import android.net.Uri;
import android.view.ViewGroup;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;

/** The screen that takes a model out of a zip, with the real one and the phone's own TensorFlow Lite. */
@RunWith(RobolectricTestRunner.class)
public class ModelScreenTest {
    private ActivityController<ModelActivity> controller;

    @Before
    public void setUp() {
        Phone.needsTflite();
    }

    private ModelActivity start() throws Exception {
        controller = Robolectric.buildActivity(ModelActivity.class).setup();
        Phone.await("the model", () -> session().model != null || !session().message.isEmpty());
        return controller.get();
    }

    private ModelSession session() {
        return (ModelSession) controller.get().onRetainNonConfigurationInstance();
    }

    private void pick(Uri uri) {
        ModelActivity activity = controller.get();
        activity.findViewById(R.id.import_model).performClick();
        Intent sent = shadowOf(activity).getNextStartedActivityForResult().intent;
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, sent.getAction());
        shadowOf(activity).receiveResult(sent, Activity.RESULT_OK, new Intent().setData(uri));
    }

    private void take(byte[] zip) throws Exception {
        pick(Phone.document("model.zip", zip));
        assertTrue(Phone.isShown(controller.get(), R.id.busy));
        assertFalse(Phone.isShown(controller.get(), R.id.import_model));
        Phone.await("the end of the import", () -> !session().isBusy);
    }

    private static List<String> facts(ModelActivity activity) {
        ViewGroup rows = activity.findViewById(R.id.facts);
        List<String> found = new ArrayList<>();
        for (int i = 0; i < rows.getChildCount(); i++) {
            found.add(rows.getChildAt(i).getContentDescription().toString());
        }
        return found;
    }

    @Test
    public void whatIsKnownOfTheBuiltInModel() throws Exception {
        ModelActivity activity = start();
        assertEquals("mri4p-mobilenetv2", Phone.text(activity, R.id.model_name));
        assertEquals("Built into the app", Phone.text(activity, R.id.model_from));
        assertFalse(Phone.isShown(activity, R.id.forget));
        List<String> facts = facts(activity);
        assertTrue(facts.toString(), facts.contains("Classes: glioma, meningioma, no tumour, pituitary"));
        assertTrue(facts.toString(), facts.contains("Accuracy on validation: 96.7% of 481 images"));
        assertTrue(facts.toString(), facts.contains("Own heat map: yes") || facts.contains("Own heat map: Yes"));
    }

    @Test
    public void anImportedModelIsInUseUntilItIsTakenBack() throws Exception {
        ModelActivity activity = start();
        take(Zips.with("name", "brought"));
        assertEquals("", session().message);
        assertEquals("The model answers its 4 golden images as it must, and is in use now.",
                Phone.text(activity, R.id.success));
        assertEquals("brought", Phone.text(activity, R.id.model_name));
        assertEquals("Imported, checked on this device", Phone.text(activity, R.id.model_from));
        assertEquals("brought", EmbeddedModel.read(EmbeddedModel.files(Phone.context())).name);
        activity.findViewById(R.id.forget).performClick();
        Phone.await("the built-in model", () -> !session().isBusy);
        assertEquals("mri4p-mobilenetv2", Phone.text(activity, R.id.model_name));
        assertEquals("The built-in model is in use again.", Phone.text(activity, R.id.success));
        assertFalse(Phone.isShown(activity, R.id.forget));
    }

    @Test
    public void whatIsRefusedChangesNothing() throws Exception {
        ModelActivity activity = start();
        take(Zips.with("name", "first"));
        String place = EmbeddedModel.place(Phone.context());
        Map<String, byte[]> damaged = Zips.files();
        damaged.get("model.tflite")[100_000]++;
        Map<String, byte[]> outside = Zips.files();
        outside.put("../../shared_prefs/x.xml", new byte[1]);
        Map<String, byte[]> noModel = Zips.files();
        byte[] text = "This is no model.".getBytes(StandardCharsets.UTF_8);
        noModel.put("model.tflite", text);
        Map<String, Object> described = new java.util.LinkedHashMap<>();
        described.put("file", "model.tflite");
        described.put("sha256", org.edgekd.core.Hash.sha256(text));
        described.put("size_bytes", text.length);
        noModel.put("model.json", Zips.described("model", described));
        byte[] whole = Zips.zip(Zips.files());
        Object[][] cases = {
            {Zips.zip(damaged), "is not the file that model.json describes"},
            {Zips.zip(outside), ""}, // newer Androids refuse the name themselves
            {Zips.zip(noModel), ""},
            {Arrays.copyOf(whole, whole.length / 2), "damaged or ends too early"},
            {text, "This is no zip with a model"},
            {new byte[0], "This is no zip with a model"},
            {Zips.with("calibration_temperature", -1), "calibration_temperature: expected a number"},
            {Zips.with("unsure_below", null), "unsure_below: expected an object"},
            {Zips.with("io", "int8"), "other tensors than its description"},
        };
        for (Object[] each : cases) {
            take((byte[]) each[0]);
            String message = Phone.text(activity, R.id.message);
            assertTrue(message, message.startsWith("The model was not taken, nothing has changed. "));
            assertTrue(message, message.contains((String) each[1]));
            assertFalse(Phone.isShown(activity, R.id.success));
            assertEquals("first", Phone.text(activity, R.id.model_name));
            assertEquals(place, EmbeddedModel.place(Phone.context()));
        }
        assertEquals(2, Phone.context().getFilesDir().toPath().resolve("models").toFile().list().length);
        take(Zips.with("name", "second"));
        assertFalse(Phone.isShown(activity, R.id.message));
        assertEquals("second", Phone.text(activity, R.id.model_name));
    }

    @Test
    public void answersThatDifferOnThisDevice() throws Exception {
        start();
        @SuppressWarnings("unchecked")
        Map<String, Object> golden = new java.util.LinkedHashMap<>((Map<String, Object>)
                ((Map<String, Object>) org.edgekd.core.Json.parse(Zips.files().get("model.json"))).get("golden"));
        List<Object> probs = new ArrayList<>((List<?>) golden.get("probs"));
        double most = 0;
        for (Object p : (List<?>) probs.get(0)) {
            most = Math.max(most, Math.abs(((Number) p).doubleValue() - 0.25));
        }
        probs.set(0, Arrays.asList(0.25, 0.25, 0.25, 0.25));
        golden.put("probs", probs);
        take(Zips.with("golden", golden));
        String message = Phone.text(controller.get(), R.id.message);
        String expected = String.format(Locale.ROOT, "golden/0.png: a probability differs by %.3f (tolerance 0.100)", most);
        assertTrue(message, message.contains(expected));
    }

    private static Uri stream(InputStream in) {
        Uri uri = Uri.parse("content://org.example.files/stream");
        shadowOf(Phone.context().getContentResolver()).registerInputStreamSupplier(uri, () -> in);
        return uri;
    }

    @Test
    public void filesThatCannotBeRead() throws Exception {
        ModelActivity activity = start();
        pick(stream(new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("the card was taken out");
            }
        }));
        Phone.await("the end", () -> !session().isBusy);
        assertTrue(Phone.text(activity, R.id.message).contains("the card was taken out"));
        pick(Uri.parse("content://org.example.none/1"));
        Phone.await("the end", () -> !session().isBusy);
        assertTrue(Phone.text(activity, R.id.message).startsWith("The model was not taken"));
        pick(Uri.parse("file:///etc/hostname"));
        Phone.await("the end", () -> !session().isBusy);
        assertTrue(Phone.text(activity, R.id.message).startsWith("The model was not taken"));
    }

    @Test
    public void cancelAndRotationInTheMiddle() throws Exception {
        ModelActivity before = start();
        CountDownLatch gate = new CountDownLatch(1);
        InputStream whole = new ByteArrayInputStream(Zips.zip(Zips.files()));
        pick(stream(new InputStream() {
            @Override
            public int read() throws IOException {
                byte[] one = new byte[1];
                return read(one, 0, 1) < 0 ? -1 : one[0] & 255;
            }

            @Override
            public int read(byte[] piece, int from, int count) throws IOException {
                try {
                    gate.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
                return whole.read(piece, from, count);
            }
        }));
        ModelSession same = session();
        RuntimeEnvironment.setQualifiers("+land");
        controller.configurationChange(
                new Configuration(RuntimeEnvironment.getApplication().getResources().getConfiguration()));
        assertNotSame(before, controller.get());
        assertEquals(same, session());
        assertTrue(Phone.isShown(controller.get(), R.id.busy));
        controller.get().findViewById(R.id.cancel).performClick();
        gate.countDown();
        Phone.await("the end", () -> !session().isBusy);
        assertEquals("Cancelled.", Phone.text(controller.get(), R.id.message));
        assertEquals("", EmbeddedModel.place(Phone.context()));
        take(Zips.with("name", "later"));
        assertEquals("later", Phone.text(controller.get(), R.id.model_name));
    }

    @Test
    public void noAppToPickWith() throws Exception {
        ModelActivity activity = start();
        shadowOf(RuntimeEnvironment.getApplication()).checkActivities(true);
        activity.findViewById(R.id.import_model).performClick();
        assertEquals("This device has no app to choose a file with.", Phone.text(activity, R.id.message));
        shadowOf(RuntimeEnvironment.getApplication()).checkActivities(false);
    }

    @Test
    @Config(qualifiers = "w320dp-h480dp")
    public void largeFontOnASmallScreenCutsNothing() throws Exception {
        RuntimeEnvironment.setFontScale(2.0f);
        ModelActivity activity = start();
        take(Zips.with("name", "later"));
        LayoutChecks.nothingIsCut(activity.findViewById(android.R.id.content));
        LayoutChecks.controlsHaveNames(activity.findViewById(android.R.id.content));
    }
}
