package org.edgekd.demo;

import static org.junit.Assert.assertEquals;

import android.content.Intent;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.edgekd.bionic.PhoneLibrary;
import org.junit.Assume;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.shadows.ShadowLog;

/**
 * No test, but a phone for one job: the benchmark activity answers the intent that `edgekd.run_id`, `edgekd.folder`,
 * `edgekd.threads` and `edgekd.xnnpack` (system properties) say, and what it logs and writes goes to the folder
 * `edgekd.answer`: `line`, and `report.json` if there is one. To be run by itself, since a job wants a fresh process.
 */
@RunWith(RobolectricTestRunner.class)
public class OneJob {
    @Test
    public void answer() throws Exception {
        String runId = System.getProperty("edgekd.run_id");
        Assume.assumeNotNull(runId); // Gradle takes it for a test
        PhoneLibrary.load();
        File folder = new File(Phone.context().getFilesDir(), "job");
        copy(Paths.get(System.getProperty("edgekd.folder")), folder.toPath());
        Intent intent = new Intent()
                .putExtra("run_id", runId)
                .putExtra("folder", folder.getPath())
                .putExtra("threads", Integer.parseInt(System.getProperty("edgekd.threads")))
                .putExtra("xnnpack", Boolean.parseBoolean(System.getProperty("edgekd.xnnpack")));
        ActivityController<BenchmarkActivity> controller =
                Robolectric.buildActivity(BenchmarkActivity.class, intent).setup();
        Phone.await("the line", () -> !ShadowLog.getLogsForTag("edgekd").isEmpty());
        controller.pause().stop().destroy();
        List<ShadowLog.LogItem> lines = ShadowLog.getLogsForTag("edgekd");
        assertEquals(1, lines.size());
        Path answer = Paths.get(System.getProperty("edgekd.answer"));
        Files.createDirectories(answer);
        File report = new File(ReportFile.folder(Phone.context().getExternalFilesDir(null)), runId + ".json");
        if (report.isFile()) {
            Files.copy(report.toPath(), answer.resolve("report.json"));
        }
        Files.write(answer.resolve("line"), lines.get(0).msg.getBytes(StandardCharsets.UTF_8));
    }

    private static void copy(Path from, Path to) throws Exception {
        List<Path> found;
        try (Stream<Path> all = Files.walk(from)) {
            found = all.collect(Collectors.toList());
        }
        for (Path path : found) {
            Path there = to.resolve(from.relativize(path).toString());
            if (Files.isDirectory(path)) {
                Files.createDirectories(there);
            } else {
                Files.copy(path, there);
            }
        }
    }
}
