package org.edgekd.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import android.app.Activity;
import android.content.Intent;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Canvas;
import android.os.Looper;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ScrollView;
import android.widget.TextView;
import java.io.File;
import java.io.FileOutputStream;
import org.edgekd.core.BadJob;
import org.edgekd.core.BenchmarkRun;
import org.edgekd.core.Conditions;
import org.edgekd.core.DeviceFacts;
import org.edgekd.core.DeviceReport;
import org.edgekd.core.SystemFacts;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;

/**
 * What the screens look like, compared with `android_demo/screenshots`. What is drawn now lies in the build folder;
 * copy it from there after looking at it. Times, which differ from run to run, are replaced.
 */
@RunWith(RobolectricTestRunner.class)
public class ScreenshotTest {
    private static final String PORTRAIT = "w360dp-h680dp-hdpi";
    private static final String LANDSCAPE = "w680dp-h360dp-land-hdpi";
    private static final String NIGHT = "w360dp-h680dp-night-hdpi";
    private static final int LARGEST_FILE = 200_000;
    private static final double MOST_DIFFERENT = 0.002; // of the pixels, by more than 16 of 255: other processors round
    private static final long SEEDS = 3;

    @Before
    public void setUp() {
        Phone.needsTflite();
    }

    private static void compare(Activity activity, String name) throws Exception {
        Shadows.shadowOf(Looper.getMainLooper()).idle();
        View view = activity.getWindow().getDecorView();
        hideScrollBars(view);
        Bitmap found = Bitmap.createBitmap(view.getWidth(), view.getHeight(), Bitmap.Config.ARGB_8888);
        view.draw(new Canvas(found));
        compare(found, name);
    }

    private static void compare(Bitmap found, String name) throws Exception {
        File folder = new File(System.getProperty("edgekd.out"), "screenshots");
        assertTrue(folder.isDirectory() || folder.mkdirs());
        File file = new File(folder, name + ".png");
        try (FileOutputStream out = new FileOutputStream(file)) {
            assertTrue(found.compress(Bitmap.CompressFormat.PNG, 100, out));
        }
        File golden = new File(System.getProperty("edgekd.demo"), "screenshots/" + name + ".png");
        assertTrue(golden + " is missing; what was drawn is " + file, golden.isFile());
        assertTrue(golden + " is large", golden.length() < LARGEST_FILE);
        double different = different(found, BitmapFactory.decodeFile(golden.getPath()));
        assertTrue(different + " of " + file + " differ from " + golden, different <= MOST_DIFFERENT);
    }

    /** They fade with the time that a test happens to take. */
    private static void hideScrollBars(View view) {
        view.setVerticalScrollBarEnabled(false);
        view.setHorizontalScrollBarEnabled(false);
        if (view instanceof ViewGroup) {
            ViewGroup group = (ViewGroup) view;
            for (int i = 0; i < group.getChildCount(); i++) {
                hideScrollBars(group.getChildAt(i));
            }
        }
    }

    /** The share of pixels that differ visibly. */
    private static double different(Bitmap a, Bitmap b) {
        assertEquals(a.getWidth(), b.getWidth());
        assertEquals(a.getHeight(), b.getHeight());
        int[] first = pixels(a);
        int[] second = pixels(b);
        int count = 0;
        for (int i = 0; i < first.length; i++) {
            int change = 0;
            for (int shift = 0; shift < 24; shift += 8) {
                change = Math.max(change, Math.abs((first[i] >> shift & 255) - (second[i] >> shift & 255)));
            }
            count += change > 16 ? 1 : 0;
        }
        return (double) count / first.length;
    }

    private static int[] pixels(Bitmap bitmap) {
        int[] found = new int[bitmap.getWidth() * bitmap.getHeight()];
        bitmap.getPixels(found, 0, bitmap.getWidth(), 0, 0, bitmap.getWidth(), bitmap.getHeight());
        return found;
    }

    private static ActivityController<ClassifyActivity> classify() throws Exception {
        ActivityController<ClassifyActivity> controller = Robolectric.buildActivity(ClassifyActivity.class).setup();
        Phone.await("the model", () -> session(controller).model != null);
        return controller;
    }

    private static ClassifySession session(ActivityController<ClassifyActivity> controller) {
        return (ClassifySession) controller.get().onRetainNonConfigurationInstance();
    }

    private static ActivityController<ClassifyActivity> answered(int sample) throws Exception {
        ActivityController<ClassifyActivity> controller = classify();
        ((ViewGroup) controller.get().findViewById(R.id.samples)).getChildAt(sample).performClick();
        Phone.await("an answer", () -> session(controller).result != null);
        setTimes(controller);
        return controller;
    }

    private static void setTimes(ActivityController<ClassifyActivity> controller) {
        TextView times = controller.get().findViewById(R.id.times);
        times.setText(controller.get().getString(R.string.times, "4.10 ms", "6.30 ms", "18.4 ms"));
    }

    private static void scrollDown(Activity activity) {
        Shadows.shadowOf(Looper.getMainLooper()).idle();
        ((ScrollView) activity.findViewById(R.id.scroll)).fullScroll(View.FOCUS_DOWN);
        Shadows.shadowOf(Looper.getMainLooper()).idleFor(java.time.Duration.ofSeconds(1));
    }

    /** The answer and its map, below the fold of a phone that is 390 px wide. */
    @Test
    @Config(qualifiers = "w390dp-h844dp-mdpi")
    public void ownMap() throws Exception {
        Activity activity = answered(1).get();
        scrollDown(activity);
        compare(activity, "own-map");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void severalClasses() throws Exception {
        Zips.take("conformal", ClassifyTest.sets(0.9));
        compare(answered(0).get(), "several");
    }

    private static ActivityController<ClassifyActivity> explained() throws Exception {
        ActivityController<ClassifyActivity> controller = answered(1);
        controller.get().findViewById(R.id.explain).performClick();
        Phone.await("the heat map", () -> session(controller).heated != null);
        setTimes(controller);
        return controller;
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void start() throws Exception {
        compare(classify().get(), "start");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void answer() throws Exception {
        compare(answered(1).get(), "answer");
    }

    @Test
    @Config(qualifiers = NIGHT)
    public void answerAtNight() throws Exception {
        compare(answered(1).get(), "answer-night");
    }

    @Test
    @Config(qualifiers = LANDSCAPE)
    public void answerInLandscape() throws Exception {
        compare(explained().get(), "heatmap-land");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void heatMap() throws Exception {
        Activity activity = explained().get();
        compare(activity, "heatmap");
        scrollDown(activity);
        compare(activity, "heatmap-below");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void unsure() throws Exception {
        compare(answered(0).get(), "unsure");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void badImage() throws Exception {
        ActivityController<ClassifyActivity> controller = classify();
        session(controller).show(ImageSource.of(Phone.document("121-megapixels.png")));
        Phone.await("a message", () -> !session(controller).message.isEmpty());
        compare(controller.get(), "bad-image");
    }

    @Test
    @Config(qualifiers = "ar-ldrtl-" + PORTRAIT)
    public void rightToLeft() throws Exception {
        compare(answered(1).get(), "right-to-left");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void largeFont() throws Exception {
        RuntimeEnvironment.setFontScale(1.8f);
        compare(answered(1).get(), "large-font");
    }

    /** What one sees of an image of one's own: the mark is asked for. */
    @Test
    @Config(qualifiers = PORTRAIT)
    public void marked() throws Exception {
        ActivityController<ClassifyActivity> controller = classify();
        session(controller).show(ImageSource.of(Phone.document("1.png", Zips.files().get("golden/1.png"))));
        Phone.await("an answer", () -> session(controller).result != null);
        setTimes(controller);
        Shadows.shadowOf(Looper.getMainLooper()).idle();
        ScrollView scroll = controller.get().findViewById(R.id.scroll);
        android.graphics.Rect place = new android.graphics.Rect();
        scroll.offsetDescendantRectToMyCoords(controller.get().findViewById(R.id.probabilities), place);
        scroll.scrollTo(0, place.top);
        compare(controller.get(), "mark");
    }

    /** The picture that goes out with an answer. */
    @Test
    public void sharedPicture() throws Exception {
        ActivityController<ClassifyActivity> controller = answered(1);
        session(controller).share();
        Phone.await("the list of apps", () -> Shadows.shadowOf(controller.get()).peekNextStartedActivity() != null);
        File[] found = SharedFile.folder(Phone.context()).listFiles();
        assertEquals(1, found.length);
        Bitmap picture = BitmapFactory.decodeFile(found[0].getPath());
        compare(Bitmap.createScaledBitmap(picture, picture.getWidth() / 2, picture.getHeight() / 2, true), "shared-answer");
    }

    // --- Several images, the field log, the model ---------------------------------------------------------------------

    private static Activity batch() throws Exception {
        java.util.List<android.net.Uri> images = new java.util.ArrayList<>();
        for (int i : new int[] {0, 1, 3}) {
            images.add(Phone.document(i + ".png", Zips.files().get("golden/" + i + ".png")));
        }
        images.add(1, Phone.document("damaged.png"));
        images.add(3, Phone.document("rgb.png"));
        images.add(Phone.document("121-megapixels.png"));
        ActivityController<BatchActivity> controller =
                Robolectric.buildActivity(BatchActivity.class, BatchActivity.of(Phone.context(), images)).setup();
        BatchSession session = (BatchSession) controller.get().onRetainNonConfigurationInstance();
        Phone.await("the last image", () -> !session.isRunning);
        return controller.get();
    }

    private static Activity log() throws Exception {
        LogTest.write();
        ActivityController<LogActivity> controller = Robolectric.buildActivity(LogActivity.class).setup();
        LogSession session = (LogSession) controller.get().onRetainNonConfigurationInstance();
        Phone.await("the log", () -> session.scores != null);
        return controller.get();
    }

    private static Activity model() throws Exception {
        ActivityController<ModelActivity> controller = Robolectric.buildActivity(ModelActivity.class).setup();
        ModelSession session = (ModelSession) controller.get().onRetainNonConfigurationInstance();
        session.take(Phone.document("model.zip", Zips.zip(Zips.files())));
        Phone.await("the model", () -> !session.isBusy && session.model != null);
        return controller.get();
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void newScreens() throws Exception {
        compare(batch(), "list");
        compare(log(), "log");
        compare(model(), "model");
    }

    @Test
    @Config(qualifiers = NIGHT)
    public void newScreensAtNight() throws Exception {
        compare(batch(), "list-night");
        compare(log(), "log-night");
        compare(model(), "model-night");
    }

    @Test
    @Config(qualifiers = LANDSCAPE)
    public void newScreensInLandscape() throws Exception {
        compare(batch(), "list-land");
        compare(log(), "log-land");
        compare(model(), "model-land");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void newScreensInALargeFont() throws Exception {
        RuntimeEnvironment.setFontScale(1.8f);
        compare(batch(), "list-large-font");
        compare(log(), "log-large-font");
        compare(model(), "model-large-font");
    }

    @Test
    @Config(qualifiers = "ar-ldrtl-" + PORTRAIT)
    public void newScreensFromRightToLeft() throws Exception {
        compare(batch(), "list-right-to-left");
        compare(log(), "log-right-to-left");
    }

    // --- Benchmark ---------------------------------------------------------------------------------------------------

    private static ActivityController<BenchmarkActivity> benchmark(DeviceReport report) {
        ActivityController<BenchmarkActivity> controller =
                Robolectric.buildActivity(BenchmarkActivity.class, new Intent()).setup();
        BenchmarkSession session = (BenchmarkSession) controller.get().onRetainNonConfigurationInstance();
        session.report = report;
        session.handedOver = "/storage/emulated/0/Android/data/org.edgekd.demo/files/reports/a.json";
        controller.pause().stop().restart().start().resume();
        return controller;
    }

    /** A report of a phone that no one has. */
    private static DeviceReport report() {
        DeviceReport report = BenchmarkRun.refusal(new BadJob("", "", 0, "hardware"), new Example());
        report.failureStage = "";
        report.goldenImages = 4;
        report.largestChange = 1.2e-7;
        report.tolerance = 0.05;
        report.runtimeName = "TensorFlow Lite";
        report.runtimeVersion = "2.21.0";
        report.delegate = "XNNPACK";
        report.threadsAsked = 4;
        report.threadsRan = 4;
        report.importMs = 12.3;
        report.loadMs = 28.1;
        report.firstMs = 21.7;
        report.warmupRuns = 10;
        report.inferenceMs = new double[200];
        java.util.Random random = new java.util.Random(SEEDS);
        for (int i = 0; i < 200; i++) {
            report.inferenceMs[i] = 18.4 + random.nextDouble();
        }
        report.decodeMs = new double[] {4.1};
        report.preprocessMs = new double[] {6.3};
        report.bareRssMib = 141.0;
        report.peakRssMib = 163.5;
        report.pssBeforeMib = 61.2;
        report.pssAfterMib = 80.4;
        report.before = new Example().conditions();
        report.after = new Example().conditions();
        report.after.throttling = "light";
        report.after.batteryPercent = 82.0;
        return report;
    }

    private static final class Example implements DeviceFacts {
        @Override
        public SystemFacts system() {
            SystemFacts facts = new SystemFacts();
            facts.system = "Android 15";
            facts.model = "Example Phone 8";
            facts.cpu = "Example SoC 7";
            facts.cores = 8;
            return facts;
        }

        @Override
        public Conditions conditions() {
            Conditions now = new Conditions();
            now.throttled = false;
            now.throttling = "none";
            now.batteryPercent = 83.0;
            now.charging = false;
            return now;
        }

        @Override
        public Double pssMib() {
            return null;
        }
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void benchmark() throws Exception {
        compare(benchmark(report()).get(), "benchmark");
    }

    @Test
    @Config(qualifiers = NIGHT)
    public void benchmarkAtNight() throws Exception {
        Activity activity = benchmark(report()).get();
        scrollDown(activity);
        compare(activity, "benchmark-night");
    }

    @Test
    @Config(qualifiers = LANDSCAPE)
    public void benchmarkInLandscape() throws Exception {
        compare(benchmark(report()).get(), "benchmark-land");
    }

    @Test
    @Config(qualifiers = PORTRAIT)
    public void benchmarkThatFailed() throws Exception {
        DeviceReport report = report();
        report.failureStage = "preprocess";
        report.failureReason = "golden/2.png: 3.10% of the input tensor differs";
        compare(benchmark(report).get(), "benchmark-fail");
    }
}
