package org.edgekd.demo;

import java.io.File;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** Reports on the device's storage: whole or not there. */
final class ReportFile {
    private static final String SUFFIX = ".json";
    private static final int MOST = 50;

    private ReportFile() {}

    /** Where reports are, in the app's files. */
    static File folder(File files) {
        return new File(files, "reports");
    }

    /** Whether a file of this name can be a report: no path, nothing unfinished. */
    static boolean isName(String file) {
        int end = file.length() - SUFFIX.length();
        return end > 0 && file.endsWith(SUFFIX) && BenchmarkRequest.isName(file.substring(0, end));
    }

    /** Removes the oldest of too many. */
    static void keepNewest(File folder) {
        File[] reports = folder.listFiles((in, name) -> isName(name));
        if (reports == null || reports.length <= MOST) {
            return;
        }
        Map<File, Long> ages = new HashMap<>(); // read once: sorting wants them to stay as they are
        for (File report : reports) {
            ages.put(report, report.lastModified());
        }
        Arrays.sort(reports, (a, b) -> Long.compare(ages.get(a), ages.get(b)));
        for (int i = 0; i < reports.length - MOST; i++) {
            reports[i].delete();
        }
    }

    /**
     * Writes a report.
     *
     * @throws IOException if there is no room, or no storage
     */
    static File write(File folder, String runId, byte[] content) throws IOException {
        File file = new File(folder, runId + SUFFIX);
        WholeFile.write(file, content);
        return file;
    }
}
