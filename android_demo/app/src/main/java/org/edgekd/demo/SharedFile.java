package org.edgekd.demo;

import android.content.Context;
import java.io.File;
import java.io.IOException;

/** What was made to be shared: pictures of answers, the field log. It lies in the cache, and goes after a day. */
final class SharedFile {
    static final String LOG = "edgekd-field-log.csv";
    private static final String NAME = "edgekd-answer-[0-9a-f]{12}\\.png|edgekd-field-log\\.csv";
    private static final long DAY_MS = 24L * 3600 * 1000;

    private SharedFile() {}

    static File folder(Context context) {
        return new File(context.getCacheDir(), "shared");
    }

    /** Whether a file of this name is made here: no path, nothing unfinished. */
    static boolean isName(String file) {
        return file.matches(NAME);
    }

    /** Of an image's answer. */
    static String answer(String imageSha256) {
        return "edgekd-answer-" + imageSha256.substring(0, 12) + ".png";
    }

    static String type(String name) {
        return name.equals(LOG) ? "text/csv" : "image/png";
    }

    static File write(Context context, String name, byte[] content) throws IOException {
        File folder = folder(context);
        File[] older = folder.listFiles();
        for (File each : older == null ? new File[0] : older) {
            if (each.lastModified() < System.currentTimeMillis() - DAY_MS) {
                each.delete(); // whoever it was shared with has read it
            }
        }
        File file = new File(folder, name);
        WholeFile.write(file, content);
        return file;
    }
}
