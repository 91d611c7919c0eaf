package org.edgekd.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.content.ContentResolver;
import android.content.Intent;
import android.content.pm.ActivityInfo;
import android.content.res.Configuration;
import android.database.Cursor;
import android.net.Uri;
import android.os.BatteryManager;
import android.os.PowerManager;
import android.provider.OpenableColumns;
import android.util.Log;
import android.view.View;
import android.view.ViewGroup;
import android.widget.RadioButton;
import android.widget.Switch;
import java.io.File;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.edgekd.core.Hash;
import org.edgekd.core.Json;
import org.edgekd.core.Timing;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowLog;

/** The Benchmark screen: from an intent or a finger to the document and the one line in the log. */
@RunWith(RobolectricTestRunner.class)
public class BenchmarkTest {
    private ActivityController<BenchmarkActivity> controller;

    @Before
    public void setUp() {
        Phone.needsTflite();
    }

    private BenchmarkActivity start(Intent intent) {
        controller = Robolectric.buildActivity(BenchmarkActivity.class, intent).setup();
        return controller.get();
    }

    private BenchmarkActivity run(Intent intent) throws Exception {
        BenchmarkActivity activity = start(intent);
        Phone.await("the end of the run", () -> !session().isRunning);
        return activity;
    }

    private BenchmarkSession session() {
        return (BenchmarkSession) controller.get().onRetainNonConfigurationInstance();
    }

    private static Intent request(String runId) {
        Intent intent = new Intent().putExtra("run_id", runId).putExtra("threads", 2);
        return intent.putExtra("xnnpack", true).putExtra("runs", 20);
    }

    /** Lines for the harness. */
    private static List<String> lines() {
        List<String> found = new ArrayList<>();
        for (ShadowLog.LogItem item : ShadowLog.getLogsForTag("edgekd")) {
            assertEquals(Log.INFO, item.type);
            found.add(item.msg);
        }
        return found;
    }

    /** Where the shell reads reports; the app has them in its own storage too. */
    private static File reports() {
        return ReportFile.folder(Phone.context().getExternalFilesDir(null));
    }

    private static File ownReports() {
        return ReportFile.folder(Phone.context().getFilesDir());
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> document(String runId) throws Exception {
        byte[] content = Files.readAllBytes(new File(reports(), runId + ".json").toPath());
        List<String> lines = lines();
        assertEquals(1, lines.size());
        String path = new File(reports(), runId + ".json").getAbsolutePath();
        assertEquals("result " + runId + " " + path + " " + Hash.sha256(content), lines.get(0));
        return (Map<String, Object>) Json.parse(content);
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> part(Map<String, Object> document, String key) {
        return (Map<String, Object>) document.get(key);
    }

    private static double number(Map<String, Object> part, String key) {
        return ((Number) part.get(key)).doubleValue();
    }

    @Test
    public void measuresItsOwnModel() throws Exception {
        shadowOf((BatteryManager) Phone.context().getSystemService(android.content.Context.BATTERY_SERVICE))
                .setIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY, 83);
        shadowOf((PowerManager) Phone.context().getSystemService(android.content.Context.POWER_SERVICE))
                .setCurrentThermalStatus(PowerManager.THERMAL_STATUS_NONE);
        Intent warm = new Intent(Intent.ACTION_BATTERY_CHANGED).putExtra(BatteryManager.EXTRA_TEMPERATURE, 315);
        RuntimeEnvironment.getApplication().sendStickyBroadcast(warm);
        BenchmarkActivity activity = run(request("own-1"));
        Map<String, Object> found = document("own-1");
        assertEquals("edgekd.device/1", found.get("schema"));
        assertEquals(4.0, number(part(found, "golden"), "images"), 0);
        Map<String, Object> times = part(found, "times");
        assertEquals(20, ((List<?>) times.get("inference_ms")).size());
        assertTrue(number(times, "warmup_runs") >= 10);
        assertTrue(number(times, "warmup_s") >= 2);
        assertEquals(83.0, number(part(times, "before"), "battery_percent"), 0);
        assertEquals(31.5, number(part(times, "after"), "battery_temperature_c"), 0);
        assertEquals("none", part(times, "after").get("throttling"));
        assertEquals(0.0, number(times, "cooling_s"), 0);
        assertEquals(false, part(times, "after").get("throttled"));
        Map<String, Object> runtime = part(found, "runtime");
        assertEquals("XNNPACK", runtime.get("delegate"));
        assertEquals(2.0, number(runtime, "threads_asked"), 0);
        assertEquals(2.0, number(runtime, "threads_ran"), 0); // the worker, and one that native code started
        assertTrue(number(times, "processor_share") < 2.1);
        assertTrue(((String) part(found, "system").get("system")).startsWith("Android "));
        assertEquals("0.1.0", part(part(found, "system"), "software").get("app"));
        assertTrue(Phone.text(activity, R.id.golden).startsWith("PASS: 4 golden images"));
        assertTrue(Phone.text(activity, R.id.headline).endsWith("ms per image"));
        assertTrue(Phone.text(activity, R.id.saved).endsWith("own-1.json"));
        assertTrue(((ViewGroup) activity.findViewById(R.id.facts)).getChildCount() > 15);
        LayoutChecks.controlsHaveNames(activity.findViewById(android.R.id.content));
        assertEquals(1, reports().list().length); // nothing temporary is left
    }

    @Test
    @Config(qualifiers = "ar-ldrtl-w320dp-h480dp")
    public void largeFontOnASmallScreenFromRightToLeftCutsNothing() throws Exception {
        RuntimeEnvironment.setFontScale(2.0f);
        BenchmarkActivity activity = run(request("large").putExtra("runs", 5));
        LayoutChecks.nothingIsCut(activity.findViewById(android.R.id.content));
        assertEquals(View.LAYOUT_DIRECTION_RTL, activity.findViewById(R.id.scroll).getLayoutDirection());
    }

    @Test
    public void builtInKernelsOnRequest() throws Exception {
        run(request("own-2").putExtra("xnnpack", false).putExtra("runs", 5));
        Map<String, Object> runtime = part(document("own-2"), "runtime");
        assertEquals("built-in", runtime.get("delegate"));
        assertEquals(2.0, number(runtime, "threads_ran"), 0); // the other one was started by native code
    }

    @Test
    public void runsAJob() throws Exception {
        File folder = new Jobs(Phone.context()).write("job-1", 3);
        run(request("job-1").putExtra("folder", folder.getPath()));
        Map<String, Object> found = document("job-1");
        assertEquals("row-7", found.get("key"));
        assertEquals(2.0, number(found, "round"), 0);
        assertNull(found.get("failure"));
        assertEquals(3, ((List<?>) found.get("probs")).size());
        assertEquals(12, ((List<?>) part(found, "times").get("inference_ms")).size());
    }

    @Test
    public void anAnswerIsShownAsFailWhereItDiffers() throws Exception {
        File folder = new Jobs(Phone.context()).write("job-2", 0, 0.3);
        BenchmarkActivity activity = run(request("job-2").putExtra("folder", folder.getPath()));
        assertEquals("probabilities", part(document("job-2"), "failure").get("stage"));
        assertTrue(Phone.text(activity, R.id.golden).startsWith("FAIL at probabilities\n"));
        assertFalse(Phone.isShown(activity, R.id.headline));
    }

    @Test
    public void jobsThatCannotBeRunAreAnswered() throws Exception {
        File folder = new Jobs(Phone.context()).write("job-3", 1);
        Files.write(new File(folder, "model.tflite").toPath(), "text".getBytes(StandardCharsets.UTF_8));
        run(request("job-3").putExtra("folder", folder.getPath()));
        Map<String, Object> failure = part(document("job-3"), "failure");
        assertEquals("files", failure.get("stage"));
        assertTrue(failure.get("reason").toString().contains("model.tflite is not the file that was sent"));
        ShadowLog.clear();
        Files.write(new File(folder, "job.json").toPath(), "{".getBytes(StandardCharsets.UTF_8));
        run(request("job-4").putExtra("folder", folder.getPath()));
        assertEquals("files", part(document("job-4"), "failure").get("stage"));
    }

    @Test
    public void foldersOfOthersAreRefused() throws Exception {
        String inside = Phone.context().getFilesDir() + "/../../elsewhere";
        String outside = Phone.context().getExternalFilesDir(null).getPath() + "/job"; // others may write there
        String[] folders = {"/", "/sdcard/Download", "/data/local/tmp", "/data/local/tmp/edgekd/../x", inside, outside};
        for (int i = 0; i < folders.length; i++) {
            ShadowLog.clear();
            run(request("folder-" + i).putExtra("folder", folders[i]));
            Map<String, Object> failure = part(document("folder-" + i), "failure");
            assertTrue(folders[i], failure.get("reason").toString().startsWith("Jobs are read from"));
            assertTrue(new File(reports(), "folder-" + i + ".json").delete());
        }
    }

    @Test
    public void namesThatAreNoneAreRefused() throws Exception {
        String longest = new String(new char[64]).replace('\0', 'a');
        assertTrue(BenchmarkRequest.isName(longest));
        for (String name : new String[] {"", "../x", "a/b", "..", "a b", "x\nresult x", longest + "a"}) {
            BenchmarkActivity activity = start(request(name));
            assertFalse(session().isRunning);
            assertTrue(Phone.isShown(activity, R.id.message));
        }
        assertEquals(new ArrayList<String>(), lines());
        assertNull(reports().list());
    }

    @Test
    public void fullStorageIsToldAndNothingIsLost() throws Exception {
        assertTrue(reports().getParentFile().isDirectory() || reports().getParentFile().mkdirs());
        Files.write(reports().toPath(), new byte[0]); // no folder can be made in its place
        Files.write(ownReports().toPath(), new byte[0]);
        BenchmarkActivity activity = run(request("full").putExtra("runs", 5));
        assertEquals(1, lines().size());
        assertTrue(lines().get(0), lines().get(0).startsWith("failed full no folder " + ownReports()));
        assertTrue(Phone.text(activity, R.id.message).contains("could not be saved"));
        assertTrue(Phone.text(activity, R.id.golden).startsWith("PASS"));
        activity.findViewById(R.id.share).performClick();
        Intent sent = shared(activity);
        assertEquals("text/plain", sent.getType());
        assertTrue(sent.getStringExtra(Intent.EXTRA_TEXT).contains("edgekd.device/1"));
    }

    @SuppressWarnings("deprecation")
    private static Intent shared(BenchmarkActivity activity) {
        Intent chooser = shadowOf(activity).getNextStartedActivity();
        assertEquals(Intent.ACTION_CHOOSER, chooser.getAction());
        return chooser.getParcelableExtra(Intent.EXTRA_INTENT);
    }

    @Test
    @SuppressWarnings("deprecation")
    public void sharesTheReport() throws Exception {
        BenchmarkActivity activity = run(request("share-1").putExtra("runs", 5));
        activity.findViewById(R.id.share).performClick();
        Intent sent = shared(activity);
        Uri uri = sent.getParcelableExtra(Intent.EXTRA_STREAM);
        assertEquals("content://org.edgekd.demo.reports/share-1.json", uri.toString());
        assertTrue((sent.getFlags() & Intent.FLAG_GRANT_READ_URI_PERMISSION) != 0);
        Robolectric.setupContentProvider(ReportProvider.class, uri.getAuthority());
        ContentResolver resolver = Phone.context().getContentResolver();
        byte[] expected = Files.readAllBytes(session().file.toPath());
        try (InputStream in = resolver.openInputStream(uri)) {
            assertEquals(Hash.sha256(expected), Hash.sha256(in));
        }
        try (Cursor cursor = resolver.query(uri, null, null, null, null)) {
            assertTrue(cursor.moveToFirst());
            assertEquals("share-1.json", cursor.getString(cursor.getColumnIndexOrThrow(OpenableColumns.DISPLAY_NAME)));
            assertEquals(expected.length, cursor.getLong(cursor.getColumnIndexOrThrow(OpenableColumns.SIZE)));
        }
        for (String other : "..%2Fsecret.json share-1 a/share-1.json %2e%2e.json none.json".split(" ")) {
            try (InputStream in = resolver.openInputStream(Uri.parse("content://org.edgekd.demo.reports/" + other))) {
                throw new AssertionError(other + " was opened: " + in);
            } catch (java.io.FileNotFoundException e) {
                assertNotNull(e.getMessage());
            }
        }
    }

    @Test
    public void aReportThatNoOneAskedForStaysInTheApp() throws Exception {
        BenchmarkActivity activity = start(new Intent());
        session().start(new BenchmarkRequest("hand", "", 1, true, new Timing(1, 5, 1, 0), false));
        Phone.await("the end of the run", () -> !session().isRunning);
        assertNull(reports().list());
        File report = new File(ownReports(), "hand.json");
        String hash = Hash.sha256(Files.readAllBytes(report.toPath()));
        assertEquals(Arrays.asList("result hand " + report + " " + hash), lines());
        assertFalse(Phone.isShown(activity, R.id.saved));
        assertTrue(Phone.isShown(activity, R.id.report_card));
    }

    @Test
    public void oldReportsAreRemoved() throws Exception {
        assertTrue(ownReports().mkdirs());
        for (int i = 0; i < 60; i++) {
            File report = ReportFile.write(ownReports(), "run-" + i, new byte[0]);
            assertTrue(report.setLastModified(1_700_000_000_000L + 1000 * (i % 7) + i));
        }
        ReportFile.keepNewest(ownReports());
        assertEquals(50, ownReports().list().length);
        assertFalse(new File(ownReports(), "run-0.json").exists()); // of those of the first second
        assertTrue(new File(ownReports(), "run-6.json").exists());
    }

    @Test
    public void startedByHand() throws Exception {
        BenchmarkActivity activity = start(new Intent());
        assertFalse(session().isRunning);
        ((RadioButton) activity.findViewById(R.id.threads_4)).setChecked(true);
        ((Switch) activity.findViewById(R.id.xnnpack)).setChecked(true);
        activity.findViewById(R.id.run).performClick();
        assertTrue(Phone.isShown(activity, R.id.running));
        assertFalse(activity.findViewById(R.id.threads_1).isEnabled());
        Phone.await("a step", () -> !session().step.isEmpty());
        Phone.await("the replay", () -> Phone.isShown(activity, R.id.golden_passed));
        activity.findViewById(R.id.cancel).performClick();
        Phone.await("the end", () -> !session().isRunning);
        assertEquals("Cancelled.", Phone.text(activity, R.id.message));
        assertTrue(lines().get(0).matches("failed screen-[0-9]{8}-[0-9]{6} cancelled"));
        assertTrue(Phone.isShown(activity, R.id.run));
        assertFalse(Phone.isShown(activity, R.id.golden_passed));
    }

    @Test
    public void rotationInTheMiddleIsNoEnd() throws Exception {
        start(request("turn-1"));
        assertEquals(ActivityInfo.SCREEN_ORIENTATION_LOCKED, controller.get().getRequestedOrientation());
        BenchmarkSession same = session();
        RuntimeEnvironment.setQualifiers("+land");
        controller.configurationChange(
                new Configuration(RuntimeEnvironment.getApplication().getResources().getConfiguration()));
        assertEquals(same, session());
        Phone.await("the end of the run", () -> !session().isRunning);
        assertTrue(Phone.text(controller.get(), R.id.golden).startsWith("PASS"));
        document("turn-1");
    }

    @Test
    public void leavingTheScreenFailsTheRun() throws Exception {
        BenchmarkActivity activity = start(request("home").putExtra("runs", 100_000));
        Phone.await("a step", () -> !session().step.isEmpty());
        controller.pause().stop();
        Phone.await("the end of the run", () -> !session().isRunning);
        assertEquals(Arrays.asList("failed home its screen was left or went dark: times would not hold"), lines());
        assertNull(reports().list());
        controller.restart().resume();
        assertTrue(Phone.text(activity, R.id.message).startsWith("Ended: this screen was left"));
        assertEquals(1, lines().size());
    }

    @Test
    public void backFailsTheRun() throws Exception {
        start(request("back").putExtra("runs", 100_000));
        controller.get().finish();
        controller.pause().stop().destroy();
        Phone.await("the line", () -> !lines().isEmpty());
        assertTrue(lines().get(0), lines().get(0).startsWith("failed back its screen was left"));
    }

    @Test
    public void aDarkScreenMeasuresNothing() throws Exception {
        shadowOf((PowerManager) Phone.context().getSystemService(android.content.Context.POWER_SERVICE))
                .turnScreenOn(false);
        start(request("dark"));
        assertFalse(session().isRunning);
        assertTrue(lines().get(0), lines().get(0).startsWith("failed dark its screen was left or went dark"));
        assertNull(reports().list());
    }

    @Test
    public void nothingIsMeasuredBehindAnotherScreen() throws Exception {
        controller = Robolectric.buildActivity(BenchmarkActivity.class, request("behind")).create().start();
        assertTrue(session().isRunning);
        assertEquals("", session().step);
        controller.resume().pause();
        Phone.await("the end", () -> !session().isRunning);
        assertTrue(lines().get(0), lines().get(0).startsWith("failed behind its screen was left"));
    }

    @Test
    public void oneRunAtATime() throws Exception {
        start(request("first").putExtra("runs", 100_000));
        controller.newIntent(request("second"));
        assertEquals(Arrays.asList("failed second another run is under way"), lines());
        assertEquals("first", session().runId);
        controller.get().findViewById(R.id.cancel).performClick();
        Phone.await("the end of the run", () -> !session().isRunning);
        assertEquals("failed first cancelled", lines().get(1));
    }

    @Test
    public void nothingMovesWhileItIsMeasured() throws Exception {
        start(request("still").putExtra("runs", 100_000));
        assertTrue(session().isRunning);
        LayoutChecks.nothingMoves(controller.get().findViewById(android.R.id.content));
        session().cancel();
        Phone.await("the end of the run", () -> !session().isRunning);
    }
}
