package org.edgekd.demo;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import org.edgekd.core.Cancel;

/** Streams to bytes. */
final class Bytes {
    private Bytes() {}

    /**
     * All bytes of a stream.
     *
     * @param most more are refused
     * @throws IOException also when cancelled
     */
    static byte[] read(InputStream in, int most, Cancel cancel) throws IOException {
        ByteArrayOutputStream found = new ByteArrayOutputStream(1 << 16);
        byte[] piece = new byte[1 << 16];
        for (int count = in.read(piece); count >= 0; count = in.read(piece)) {
            if (count > most - found.size()) {
                throw new IOException("more than " + most + " bytes");
            }
            if (cancel.isCancelled()) {
                throw new IOException("cancelled");
            }
            found.write(piece, 0, count);
        }
        return found.toByteArray();
    }
}
