package org.edgekd.core;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;

/** Files by relative name, `/` between folders: a job's folder ({@link FolderFiles}), or an app's assets. */
public interface JobFiles {
    /**
     * The file as a stream.
     *
     * @throws IOException if it is not there or cannot be read, or its name leaves the folder
     */
    InputStream open(String name) throws IOException;

    /** The whole file, read-only and direct, of native order: mapped where that can be done. */
    ByteBuffer map(String name) throws IOException;
}
