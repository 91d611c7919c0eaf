package org.edgekd.demo;

import java.io.File;
import java.io.IOException;

/** Reports on the device's storage: whole or not there. */
final class ReportFile {
    private static final String SUFFIX = ".json";

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
