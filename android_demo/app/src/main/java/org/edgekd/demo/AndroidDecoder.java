package org.edgekd.demo;

import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.ImageDecoder;
import android.os.Build;
import android.annotation.TargetApi;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.edgekd.core.BadImage;
import org.edgekd.core.Decoder;
import org.edgekd.core.Rgb;

/**
 * Android's own decoders with the pixels that Pillow gives: no colour conversion, upright, transparency over black, at
 * full size. Android 9 and later use ImageDecoder, which tells of files that end too early; before there is
 * BitmapFactory.
 */
final class AndroidDecoder implements Decoder {
    private final boolean hasImageDecoder;

    AndroidDecoder() {
        this(Build.VERSION.SDK_INT >= Build.VERSION_CODES.P);
    }

    /** For tests: with the decoder of older versions. */
    AndroidDecoder(boolean hasImageDecoder) {
        this.hasImageDecoder = hasImageDecoder;
    }

    @Override
    public Rgb decode(byte[] bytes) throws BadImage {
        try {
            ImageFile file = ImageFile.read(bytes);
            if (file.bits == 16) {
                return turned(Png16.decode(file.content), file.orientation);
            }
            Bitmap bitmap = hasImageDecoder ? decodeImage(file.content) : decodeBitmap(file.content);
            try {
                return copy(bitmap, file.orientation);
            } finally {
                bitmap.recycle();
            }
        } catch (OutOfMemoryError e) {
            throw new BadImage("The image is too large for the memory of this device.", e);
        }
    }

    @TargetApi(Build.VERSION_CODES.P)
    private static Bitmap decodeImage(byte[] content) throws BadImage {
        Header header = new Header();
        try {
            return ImageDecoder.decodeBitmap(ImageDecoder.createSource(ByteBuffer.wrap(content)), header);
        } catch (IOException | RuntimeException e) {
            throw header.refused != null
                    ? header.refused
                    : new BadImage("The image file is damaged or ends too early.", e);
        }
    }

    /** Refuses an image by its size, before its pixels take memory. A class, since lambdas lose the annotation. */
    @TargetApi(Build.VERSION_CODES.P)
    private static final class Header implements ImageDecoder.OnHeaderDecodedListener {
        BadImage refused;

        @Override
        public void onHeaderDecoded(ImageDecoder decoder, ImageDecoder.ImageInfo info, ImageDecoder.Source source) {
            decoder.setAllocator(ImageDecoder.ALLOCATOR_SOFTWARE);
            decoder.setUnpremultipliedRequired(true);
            try {
                Pixels.check(info.getSize().getWidth(), info.getSize().getHeight());
            } catch (BadImage e) {
                refused = e;
                throw new IllegalStateException(e); // the only way out from here
            }
        }
    }

    private static Bitmap decodeBitmap(byte[] content) throws BadImage {
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        BitmapFactory.decodeByteArray(content, 0, content.length, options);
        if (options.outWidth < 1) {
            throw new BadImage("The image file is damaged or ends too early.");
        }
        Pixels.check(options.outWidth, options.outHeight);
        options.inJustDecodeBounds = false;
        options.inPremultiplied = false;
        options.inScaled = false;
        options.inPreferredConfig = Bitmap.Config.ARGB_8888;
        Bitmap found = BitmapFactory.decodeByteArray(content, 0, content.length, options);
        if (found == null) {
            throw new BadImage("The image file is damaged or ends too early.");
        }
        return found;
    }

    private static Rgb copy(Bitmap bitmap, int orientation) {
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        int[] steps = Orientation.steps(orientation, width, height);
        byte[] data = new byte[3 * width * height];
        int[] row = new int[width];
        for (int y = 0; y < height; y++) {
            bitmap.getPixels(row, 0, width, 0, y, width, 1);
            int to = 3 * (steps[0] + y * steps[2]);
            for (int x = 0; x < width; x++, to += 3 * steps[1]) {
                put(row[x], data, to);
            }
        }
        boolean isSideways = Orientation.isSideways(orientation);
        return new Rgb(isSideways ? height : width, isSideways ? width : height, data);
    }

    private static void put(int argb, byte[] data, int to) {
        int alpha = argb >>> 24;
        data[to] = (byte) Pixels.overBlack(argb >> 16 & 255, alpha);
        data[to + 1] = (byte) Pixels.overBlack(argb >> 8 & 255, alpha);
        data[to + 2] = (byte) Pixels.overBlack(argb & 255, alpha);
    }

    private static Rgb turned(Rgb image, int orientation) {
        if (orientation == 1) {
            return image;
        }
        int[] steps = Orientation.steps(orientation, image.width, image.height);
        byte[] data = new byte[image.data.length];
        for (int i = 0, from = 0; i < image.height; i++) {
            for (int x = 0; x < image.width; x++, from += 3) {
                System.arraycopy(image.data, from, data, 3 * (steps[0] + x * steps[1] + i * steps[2]), 3);
            }
        }
        boolean isSideways = Orientation.isSideways(orientation);
        return new Rgb(isSideways ? image.height : image.width, isSideways ? image.width : image.height, data);
    }
}
