package org.edgekd.demo;

import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import java.io.File;
import java.io.IOException;
import java.util.regex.Pattern;
import org.edgekd.core.BadJob;
import org.edgekd.core.BadModel;
import org.edgekd.core.Job;
import org.edgekd.core.JobFiles;
import org.edgekd.core.Timing;

/**
 * What to measure. By intent, from `adb shell am start`: `run_id` (string), `folder` (string; absent: the app's own
 * model), `threads` (int), `xnnpack` (boolean), `runs` (int; of the app's own model). The manifest lets the shell alone send
 * one.
 */
final class BenchmarkRequest {
    static final String RUN_ID = "run_id";
    static final String FOLDER = "folder";
    static final String THREADS = "threads";
    static final String XNNPACK = "xnnpack";
    static final String RUNS = "runs";
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    private static final int MOST_THREADS = 64;
    private static final int MOST_RUNS = 100_000;

    /** Where adb alone may put jobs, and apps may read them. */
    private static final String SHARED = "/data/local/tmp/edgekd";

    final String runId;
    final String folder; // "" for the app's own model
    final int threads;
    final boolean xnnpack;
    final Timing timing; // of the app's own model
    final boolean isOfTheShell; // and not of a person at the screen

    BenchmarkRequest(String runId, String folder, int threads, boolean xnnpack, Timing timing, boolean isOfTheShell) {
        this.runId = runId;
        this.folder = folder;
        this.threads = threads;
        this.xnnpack = xnnpack;
        this.timing = timing;
        this.isOfTheShell = isOfTheShell;
    }

    /**
     * The request that an intent holds, or null if it holds none.
     *
     * @throws IllegalArgumentException for one that cannot be answered under its name
     */
    static BenchmarkRequest of(Intent intent) {
        Bundle extras;
        try {
            extras = intent.getExtras();
            if (extras == null || !extras.containsKey(RUN_ID)) {
                return null;
            }
        } catch (RuntimeException e) {
            throw new IllegalArgumentException("extras that can't be read", e); // classes of other apps
        }
        String runId = extras.getString(RUN_ID, "");
        if (!isName(runId)) {
            throw new IllegalArgumentException("run_id must be of 1 to 64 letters, digits, \".\", \"_\", \"-\"");
        }
        int threads = limited(extras.getInt(THREADS, 1), MOST_THREADS);
        int runs = limited(extras.getInt(RUNS, Timing.STANDARD.minRuns), MOST_RUNS);
        Timing standard = Timing.STANDARD;
        int warmup = Math.min(standard.warmupRuns, runs);
        Timing timing = new Timing(warmup, runs, standard.minSeconds, standard.sustainedS)
                .prepared(standard.warmupS, standard.coolS);
        String folder = extras.getString(FOLDER);
        return new BenchmarkRequest(
                runId, folder == null ? "" : folder, threads, extras.getBoolean(XNNPACK, true), timing, true);
    }

    /** Whether a name can be a report's, and no path. */
    static boolean isName(String text) {
        return NAME.matcher(text).matches() && !text.equals(".") && !text.equals("..");
    }

    private static int limited(int value, int most) {
        return Math.max(1, Math.min(value, most));
    }

    /** The job, from its folder or of the app's own model. */
    Job job(Context context) throws BadJob {
        if (!folder.isEmpty()) {
            return Job.read(allowed(context));
        }
        JobFiles files = EmbeddedModel.files(context);
        try {
            return Job.embedded(EmbeddedModel.read(files), files, threads, timing);
        } catch (BadModel e) {
            throw new BadJob(e.getMessage(), "", 0, "hardware");
        }
    }

    /** The folder, if no other app can write there; the app's folder on shared storage is not one up to Android 10. */
    private File allowed(Context context) throws BadJob {
        File[] roots = {new File(SHARED), context.getFilesDir()};
        try {
            String found = new File(folder).getCanonicalPath();
            for (File root : roots) {
                if (found.startsWith(root.getCanonicalPath() + File.separator)) {
                    return new File(found);
                }
            }
        } catch (IOException e) {
            throw new BadJob("The folder can't be looked at: " + e.getMessage(), "", 0, "hardware");
        }
        throw new BadJob("Jobs are read from " + SHARED + " and from the app's own files only.", "", 0, "hardware");
    }
}
