package org.edgekd.demo;

import android.content.ContentResolver;
import android.content.Context;
import android.net.Uri;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import org.edgekd.core.BadImage;
import org.edgekd.core.Cancel;

/** Where an image comes from: one of the app's samples, or a document or share of another app. Saved as a Uri. */
final class ImageSource {
    private static final String SAMPLE = "edgekd-sample";
    private static final int LARGEST_FILE = 256 << 20;

    final Uri uri;

    private ImageSource(Uri uri) {
        this.uri = uri;
    }

    static ImageSource of(Uri uri) {
        return new ImageSource(uri);
    }

    static ImageSource sample(String file) {
        return new ImageSource(new Uri.Builder().scheme(SAMPLE).opaquePart(file).build());
    }

    /** Whether it is one of the app's samples, which are generated. */
    boolean isSample() {
        return SAMPLE.equals(uri.getScheme());
    }

    /** The bytes of the file. */
    byte[] read(Context context, Cancel cancel) throws BadImage {
        Runtime memory = Runtime.getRuntime();
        long free = memory.maxMemory() - (memory.totalMemory() - memory.freeMemory());
        int most = (int) Math.min(LARGEST_FILE, free / 3); // a growing buffer is copied
        try (InputStream in = open(context)) {
            return Bytes.read(in, most, cancel);
        } catch (FileNotFoundException | SecurityException e) {
            throw new BadImage("The image can't be opened any more. Choose it again.", e);
        } catch (IOException | RuntimeException e) { // what other apps' providers throw comes through
            throw new BadImage("The image can't be read: " + e.getMessage(), e);
        } catch (OutOfMemoryError e) {
            throw new BadImage("The image file is too large for the memory of this device.", e);
        }
    }

    private InputStream open(Context context) throws IOException {
        if (isSample()) {
            return EmbeddedModel.files(context).open(uri.getSchemeSpecificPart());
        }
        if (!ContentResolver.SCHEME_CONTENT.equals(uri.getScheme())) {
            throw new FileNotFoundException("not shared in a way that the app can read");
        }
        InputStream in = context.getContentResolver().openInputStream(uri);
        if (in == null) {
            throw new FileNotFoundException("nothing there");
        }
        return in;
    }
}
