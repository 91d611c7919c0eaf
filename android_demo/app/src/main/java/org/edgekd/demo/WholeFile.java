package org.edgekd.demo;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;

/** Files that are whole or not there. */
final class WholeFile {
    private WholeFile() {}

    /**
     * Writes a file by a temporary name, then renames it.
     *
     * @throws IOException if there is no room, or no storage
     */
    static void write(File file, byte[] content) throws IOException {
        File folder = file.getParentFile();
        if (!folder.isDirectory() && !folder.mkdirs()) {
            throw new IOException("no folder " + folder);
        }
        File part = new File(folder, file.getName() + ".part");
        try {
            try (FileOutputStream out = new FileOutputStream(part)) {
                out.write(content);
                out.getFD().sync();
            }
            if (!part.renameTo(file)) {
                throw new IOException(part + " can't be renamed");
            }
        } finally {
            part.delete(); // what is left of one that failed
        }
    }
}
