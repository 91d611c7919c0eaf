package org.edgekd.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.Activity;
import android.content.ComponentName;
import android.content.Intent;
import android.content.IntentFilter;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Insets;
import android.graphics.drawable.AdaptiveIconDrawable;
import android.graphics.drawable.Drawable;
import android.os.Looper;
import android.provider.MediaStore;
import android.view.View;
import android.view.ViewGroup;
import android.view.WindowInsets;
import android.view.WindowInsetsController;
import android.window.OnBackInvokedCallback;
import android.window.WindowOnBackInvokedDispatcher;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowApplication;
import org.robolectric.shadows.ShadowPackageManager;

/** What newer releases of Android ask of a screen: room for the system's bars, a word on going back, their own picker. */
@RunWith(RobolectricTestRunner.class)
public class PlatformTest {
    private static final Insets BARS = Insets.of(0, 24, 0, 48);
    private static final Insets CUTOUT = Insets.of(30, 0, 0, 0);
    private static final String LANDSCAPE = "w680dp-h360dp-land-mdpi";

    // --- Edges -------------------------------------------------------------------------------------------------------

    private static WindowInsets insets(Insets bars, Insets cutout) {
        return new WindowInsets.Builder()
                .setInsets(WindowInsets.Type.systemBars(), bars)
                .setInsets(WindowInsets.Type.displayCutout(), cutout)
                .build();
    }

    /** The system's bars over an activity; returns what the screen hands on. */
    private static WindowInsets cover(Activity activity, Insets bars, Insets cutout) {
        WindowInsets left = activity.findViewById(R.id.screen).dispatchApplyWindowInsets(insets(bars, cutout));
        shadowOf(Looper.getMainLooper()).idle();
        return left;
    }

    /** Where a view's content begins and ends in the screen: left, top, right, bottom. */
    private static int[] content(Activity activity, int id) {
        View view = activity.findViewById(id);
        View screen = activity.findViewById(R.id.screen);
        int[] at = new int[2];
        int[] origin = new int[2];
        view.getLocationInWindow(at);
        screen.getLocationInWindow(origin);
        int left = at[0] - origin[0];
        int top = at[1] - origin[1];
        return new int[] {left, top, left + view.getWidth(), top + view.getHeight() - view.getPaddingBottom()};
    }

    private static void keepsClear(Class<? extends Activity> kind, int firstOnTop) {
        Activity activity = Robolectric.buildActivity(kind, new Intent()).setup().get();
        View screen = activity.findViewById(R.id.screen);
        cover(activity, Insets.NONE, Insets.NONE);
        int[] top = content(activity, firstOnTop);
        int[] notice = content(activity, R.id.notice);
        WindowInsets left = cover(activity, BARS, CUTOUT);
        assertTrue(left.isConsumed());
        assertEquals(top[1] + 24, content(activity, firstOnTop)[1]);
        assertEquals(notice[3] - 48, content(activity, R.id.notice)[3]);
        assertEquals(30, content(activity, R.id.notice)[0]);
        assertEquals(screen.getHeight(), screen.findViewById(R.id.notice).getBottom()); // its colour goes to the edge
        cover(activity, Insets.NONE, Insets.NONE); // as in full screen: nothing is left of it
        assertEquals(top[1], content(activity, firstOnTop)[1]);
        assertEquals(notice[3], content(activity, R.id.notice)[3]);
    }

    @Test
    public void classifyKeepsClearOfTheBars() {
        keepsClear(ClassifyActivity.class, R.id.benchmark);
    }

    @Test
    @Config(qualifiers = LANDSCAPE)
    public void classifyKeepsClearOfTheBarsInLandscape() {
        keepsClear(ClassifyActivity.class, R.id.benchmark);
    }

    @Test
    public void benchmarkKeepsClearOfTheBars() {
        keepsClear(BenchmarkActivity.class, R.id.back);
    }

    @Test
    @Config(qualifiers = LANDSCAPE)
    public void benchmarkKeepsClearOfTheBarsInLandscape() {
        keepsClear(BenchmarkActivity.class, R.id.back);
    }

    @Test
    public void theOtherScreensKeepClearOfTheBars() {
        keepsClear(BatchActivity.class, R.id.back);
        keepsClear(LogActivity.class, R.id.back);
        keepsClear(ModelActivity.class, R.id.back);
    }

    @Test
    @Config(qualifiers = LANDSCAPE)
    public void theOtherScreensKeepClearOfTheBarsInLandscape() {
        keepsClear(BatchActivity.class, R.id.back);
        keepsClear(LogActivity.class, R.id.back);
        keepsClear(ModelActivity.class, R.id.back);
    }

    /** Dark signs on the notice's colour by day, light ones by night. */
    private static void signsAreDark(boolean isDark) {
        Activity activity = Robolectric.buildActivity(ClassifyActivity.class).setup().get();
        int dark = WindowInsetsController.APPEARANCE_LIGHT_NAVIGATION_BARS
                | WindowInsetsController.APPEARANCE_LIGHT_STATUS_BARS;
        int found = activity.getWindow().getInsetsController().getSystemBarsAppearance() & dark;
        assertEquals(isDark ? dark : 0, found);
        assertFalse(activity.getWindow().isNavigationBarContrastEnforced());
    }

    @Test
    public void theBarsSignsAreDarkByDay() {
        signsAreDark(true);
    }

    @Test
    @Config(qualifiers = "night")
    public void theBarsSignsAreLightByNight() {
        signsAreDark(false);
    }

    // --- Going back --------------------------------------------------------------------------------------------------

    /** What the manifest says, which Robolectric does not read; that of the APK has a test of its own. */
    private static void predictBack() {
        String name = Phone.context().getPackageName();
        ShadowPackageManager packages = shadowOf(Phone.context().getPackageManager());
        packages.getInternalMutablePackageInfo(name).applicationInfo.setEnableOnBackInvokedCallback(true);
        Phone.context().getApplicationInfo().setEnableOnBackInvokedCallback(true);
    }

    /** What the system will call when someone goes back: something of the app, or null for what the system does itself. */
    private static OnBackInvokedCallback own(Activity activity) {
        View view = activity.getWindow().getDecorView();
        WindowOnBackInvokedDispatcher dispatcher = (WindowOnBackInvokedDispatcher) view.findOnBackInvokedDispatcher();
        OnBackInvokedCallback top = dispatcher.getTopCallback();
        return top != null && top.getClass().getName().contains("BackStep") ? top : null;
    }

    @Test
    public void goingBackEndsAListFirst() throws Exception {
        Phone.needsTflite();
        predictBack();
        CountDownLatch gate = new CountDownLatch(1);
        Intent several = BatchActivity.of(Phone.context(), Arrays.asList(BatchTest.slow(gate), Phone.document("420.jpg")));
        BatchActivity activity = Robolectric.buildActivity(BatchActivity.class, several).setup().get();
        BatchSession session = (BatchSession) activity.onRetainNonConfigurationInstance();
        own(activity).onBackInvoked();
        gate.countDown();
        Phone.await("the end of the list", () -> !session.isRunning);
        assertEquals("Not looked at: cancelled.", session.rows.get(1).problem);
        assertNull(own(activity));
        assertFalse(activity.isFinishing());
    }

    @Test
    public void goingBackEndsTheSecondOpinionFirst() throws Exception {
        Phone.needsTflite();
        predictBack();
        ActivityController<ClassifyActivity> controller = Robolectric.buildActivity(ClassifyActivity.class).setup();
        ClassifyActivity activity = controller.get();
        ClassifySession session = (ClassifySession) activity.onRetainNonConfigurationInstance();
        Phone.await("the model", () -> session.model != null);
        ((ViewGroup) activity.findViewById(R.id.samples)).getChildAt(0).performClick();
        Phone.await("an answer", () -> session.result != null);
        assertNull(own(activity));
        activity.findViewById(R.id.explain).performClick();
        assertTrue(session.isExplaining);
        own(activity).onBackInvoked(); // while it is made
        Phone.await("its end", () -> !session.isExplaining);
        assertNull(session.heated);
        assertNull(own(activity));
        activity.findViewById(R.id.explain).performClick();
        Phone.await("the heat map", () -> session.heated != null);
        assertNotNull(own(activity));
        own(activity).onBackInvoked(); // while it is shown
        assertNull(session.heated);
        assertNull(own(activity));
        assertNotNull(session.result);
        assertFalse(activity.isFinishing());
        activity.onBackPressed(); // as earlier releases ask
        assertTrue(activity.isFinishing());
    }

    @Test
    public void goingBackEndsARunBeforeItLeaves() throws Exception {
        Phone.needsTflite();
        predictBack();
        Intent intent = new Intent().putExtra("run_id", "back").putExtra("runs", 100_000);
        ActivityController<BenchmarkActivity> controller =
                Robolectric.buildActivity(BenchmarkActivity.class, intent).setup();
        BenchmarkActivity activity = controller.get();
        BenchmarkSession session = (BenchmarkSession) activity.onRetainNonConfigurationInstance();
        assertTrue(session.isRunning);
        assertNotNull(own(activity));
        activity.onBackPressed(); // as earlier releases ask: it takes the same step
        Phone.await("the end", () -> !session.isRunning);
        assertFalse(activity.isFinishing());
        assertEquals("Cancelled.", Phone.text(activity, R.id.message));
        assertNull(own(activity));
        activity.onBackPressed();
        assertTrue(activity.isFinishing());
    }

    // --- Picking -----------------------------------------------------------------------------------------------------

    /** Installs an app that answers an action. */
    private static void install(String action) throws Exception {
        ShadowPackageManager packages = shadowOf(Phone.context().getPackageManager());
        ComponentName name = new ComponentName("org.example.picker", "org.example.picker." + action.replace('.', '_'));
        IntentFilter filter = new IntentFilter(action);
        filter.addCategory(Intent.CATEGORY_DEFAULT);
        filter.addCategory(Intent.CATEGORY_OPENABLE);
        filter.addDataType("image/*");
        packages.addActivityIfNotPresent(name);
        packages.addIntentFilterForActivity(name, filter);
    }

    @Test
    public void picksPhotosElseDocuments() throws Exception {
        Activity activity = Robolectric.buildActivity(Activity.class).setup().get();
        ShadowApplication application = shadowOf(RuntimeEnvironment.getApplication());
        application.checkActivities(true);
        try {
            assertFalse(ImagePicker.open(activity, 1));
            install(Intent.ACTION_OPEN_DOCUMENT);
            assertTrue(ImagePicker.open(activity, 1));
            Intent sent = shadowOf(activity).getNextStartedActivityForResult().intent;
            assertEquals(Intent.ACTION_OPEN_DOCUMENT, sent.getAction());
            assertEquals("image/*", sent.getType());
            install(MediaStore.ACTION_PICK_IMAGES);
            assertTrue(ImagePicker.open(activity, 1));
            sent = shadowOf(activity).getNextStartedActivityForResult().intent;
            assertEquals(MediaStore.ACTION_PICK_IMAGES, sent.getAction());
            assertEquals("image/*", sent.getType());
        } finally {
            application.checkActivities(false);
        }
    }

    // --- Icon --------------------------------------------------------------------------------------------------------

    /** Launchers cut the icon to a shape of their own, which leaves a circle of 66 of 108 dp (android.com, adaptive icons). */
    @Test
    public void noMaskCutsTheIcon() {
        AdaptiveIconDrawable icon = (AdaptiveIconDrawable) Phone.context().getDrawable(R.mipmap.icon);
        for (Drawable layer : new Drawable[] {icon.getForeground(), icon.getMonochrome()}) {
            Bitmap drawn = Bitmap.createBitmap(108, 108, Bitmap.Config.ARGB_8888);
            layer.setBounds(0, 0, 108, 108);
            layer.draw(new Canvas(drawn));
            int count = 0;
            for (int i = 0; i < 108 * 108; i++) {
                double x = i % 108 + 0.5 - 54;
                double y = i / 108 + 0.5 - 54;
                boolean isDrawn = Color.alpha(drawn.getPixel(i % 108, i / 108)) > 0;
                assertFalse(x + ", " + y, isDrawn && Math.hypot(x, y) > 33);
                count += isDrawn ? 1 : 0;
            }
            assertEquals(29 * 8 + 46 * 8 + 19 * 8, count);
        }
    }
}
