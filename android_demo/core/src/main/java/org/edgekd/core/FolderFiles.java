package org.edgekd.core;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;

/** Files of a folder; names that leave it, also through a link, are refused. */
public final class FolderFiles implements JobFiles {
    private final File folder;

    public FolderFiles(File folder) {
        this.folder = folder;
    }

    @Override
    public InputStream open(String name) throws IOException {
        return new FileInputStream(file(name));
    }

    @Override
    public ByteBuffer map(String name) throws IOException {
        try (FileInputStream file = new FileInputStream(file(name));
                FileChannel channel = file.getChannel()) {
            if (channel.size() > Integer.MAX_VALUE) {
                throw new IOException(name + " is larger than 2 GiB");
            }
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size()).order(ByteOrder.nativeOrder());
        }
    }

    /** The file of that name; only ordinary files count, since opening a pipe waits for ever. */
    private File file(String name) throws IOException {
        if (!isRelative(name)) {
            throw new IOException("\"" + name + "\" is no name of a file inside the folder");
        }
        File file = new File(folder, name);
        if (!file.getCanonicalPath().startsWith(folder.getCanonicalPath() + File.separator)) {
            throw new IOException("\"" + name + "\" leads out of the folder");
        }
        if (!file.isFile()) {
            throw new IOException(name + " is missing");
        }
        return file;
    }

    /** Whether a name has parts that are all names: none empty, "." or "..". */
    static boolean isRelative(String name) {
        for (String part : name.split("/", -1)) {
            if (part.isEmpty() || part.equals(".") || part.equals("..")) {
                return false;
            }
        }
        return name.indexOf('\\') < 0 && name.indexOf('\0') < 0;
    }
}
