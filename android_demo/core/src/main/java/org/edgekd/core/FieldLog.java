package org.edgekd.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The marked answers on this device: a CSV file that rows are added to, each flushed to the disk before it counts. A row that
 * the end of the process cut off is taken away by the next; nothing else is ever changed, but by {@link #clear}.
 */
public final class FieldLog {
    static final int MOST_BYTES = 8 << 20; // some ten thousand rows
    private static final Object LOCK = new Object(); // several objects may mean one file
    private static final String HEADER = Csv.row(LogEntry.COLUMNS) + "\n";

    private final File file;

    public FieldLog(File file) {
        this.file = file;
    }

    /** The marks that hold, the last first made last: of several of one image and model the last one. */
    public static final class Content {
        public final List<LogEntry> entries;

        /** Rows that cannot be read. */
        public final int damaged;

        private Content(List<LogEntry> entries, int damaged) {
            this.entries = java.util.Collections.unmodifiableList(entries);
            this.damaged = damaged;
        }

        /** What was said of an image's answer; null for nothing. */
        public LogEntry find(String modelSha256, String imageSha256) {
            for (LogEntry entry : entries) {
                if (entry.modelSha256.equals(modelSha256) && entry.imageSha256.equals(imageSha256)) {
                    return entry;
                }
            }
            return null;
        }

        /** The rows that hold, as UTF-8 text to be shared. */
        public byte[] csv() {
            StringBuilder text = new StringBuilder(HEADER);
            for (LogEntry entry : entries) {
                text.append(entry.text).append('\n');
            }
            return text.toString().getBytes(StandardCharsets.UTF_8);
        }
    }

    /**
     * Adds a row; once this returns it is on the disk.
     *
     * @throws BadLog if the log is full
     */
    public void append(LogEntry entry) throws IOException, BadLog {
        byte[] row = (entry.text + "\n").getBytes(StandardCharsets.UTF_8);
        synchronized (LOCK) {
            File folder = file.getParentFile();
            if (!folder.isDirectory() && !folder.mkdirs()) {
                throw new IOException("no folder " + folder);
            }
            try (RandomAccessFile out = new RandomAccessFile(file, "rw")) {
                long end = endOfRows(out);
                byte[] header = end == 0 ? HEADER.getBytes(StandardCharsets.UTF_8) : new byte[0];
                if (end + row.length > MOST_BYTES) {
                    throw new BadLog("The log is full. Share it, then clear it.");
                }
                byte[] added = java.util.Arrays.copyOf(header, header.length + row.length);
                System.arraycopy(row, 0, added, header.length, row.length);
                out.setLength(end);
                out.seek(end);
                out.write(added);
                out.getFD().sync();
            }
        }
    }

    /** Behind the last line break. */
    private static long endOfRows(RandomAccessFile file) throws IOException {
        byte[] piece = new byte[1 << 12];
        long end = file.length();
        while (end > 0) {
            int count = (int) Math.min(piece.length, end);
            file.seek(end - count);
            file.readFully(piece, 0, count);
            for (int i = count - 1; i >= 0; i--) {
                if (piece[i] == '\n') {
                    return end - count + i + 1;
                }
            }
            end -= count;
        }
        return 0;
    }

    /** What the file holds; nothing if there is none. */
    public Content read() throws IOException {
        String text;
        synchronized (LOCK) {
            text = file.isFile() ? new String(content(), StandardCharsets.UTF_8) : "";
        }
        Map<String, LogEntry> latest = new LinkedHashMap<>();
        Map<String, List<String>> labels = new HashMap<>();
        int damaged = 0;
        int from = 0;
        for (int end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
            String row = text.substring(from, end);
            if (from > 0 || !(row + "\n").equals(HEADER)) {
                damaged += keep(row, latest, labels) ? 0 : 1;
            }
            from = end + 1;
        }
        List<LogEntry> held = new ArrayList<>();
        for (LogEntry entry : latest.values()) {
            if (entry.mark != LogEntry.Mark.WITHDRAWN) {
                held.add(entry);
            }
        }
        return new Content(held, damaged);
    }

    private static boolean keep(String row, Map<String, LogEntry> latest, Map<String, List<String>> labels) {
        try {
            LogEntry entry = LogEntry.read(row);
            List<String> known = labels.get(entry.modelSha256);
            if (known != null && !known.equals(entry.labelNames)) {
                return false; // one file has one list of labels
            }
            labels.put(entry.modelSha256, entry.labelNames);
            String key = entry.modelSha256 + entry.imageSha256;
            latest.remove(key); // so that it comes last
            latest.put(key, entry);
            return true;
        } catch (BadLog e) {
            return false;
        }
    }

    private byte[] content() throws IOException {
        ByteArrayOutputStream found = new ByteArrayOutputStream();
        byte[] piece = new byte[1 << 16];
        try (InputStream in = new FileInputStream(file)) {
            for (int count = in.read(piece); count >= 0 && found.size() <= MOST_BYTES; count = in.read(piece)) {
                found.write(piece, 0, count);
            }
        }
        return found.toByteArray();
    }

    /** Forgets everything. */
    public void clear() throws IOException {
        synchronized (LOCK) {
            if (file.exists() && !file.delete()) {
                throw new IOException(file + " can't be deleted");
            }
        }
    }
}
