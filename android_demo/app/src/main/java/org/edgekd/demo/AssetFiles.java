package org.edgekd.demo;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import org.edgekd.core.JobFiles;

/** The app's assets. */
final class AssetFiles implements JobFiles {
    private final AssetManager assets;

    AssetFiles(AssetManager assets) {
        this.assets = assets;
    }

    @Override
    public InputStream open(String name) throws IOException {
        return assets.open(name);
    }

    /** Mapped where the build left it uncompressed, else read. */
    @Override
    public ByteBuffer map(String name) throws IOException {
        try (AssetFileDescriptor file = assets.openFd(name);
                FileInputStream in = file.createInputStream();
                FileChannel channel = in.getChannel()) {
            long start = file.getStartOffset();
            ByteBuffer found = channel.map(FileChannel.MapMode.READ_ONLY, start, file.getDeclaredLength());
            return found.order(ByteOrder.nativeOrder());
        } catch (IOException e) {
            try (InputStream in = open(name)) {
                byte[] content = Bytes.read(in, Integer.MAX_VALUE - 8, () -> false);
                ByteBuffer copy = ByteBuffer.allocateDirect(content.length).order(ByteOrder.nativeOrder());
                copy.put(content);
                copy.rewind();
                return copy;
            }
        }
    }
}
