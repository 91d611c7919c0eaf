package org.edgekd.demo;

import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.graphics.RectF;
import org.edgekd.core.BadImage;
import org.edgekd.core.Heat;
import org.edgekd.core.InputContract;
import org.edgekd.core.Kernel;
import org.edgekd.core.Preprocess;
import org.edgekd.core.Resize;
import org.edgekd.core.Rgb;

/** Bitmaps for the screen; what the network sees is made elsewhere. */
final class Picture {
    private static final int LONGEST = 768; // px
    private static final int SMALLEST = 256; // px of the shorter side that a heat map is drawn on

    private static final int CELLS = 14; // of a heat map's side: as the squares that cover it, which overlap by half
    private static final int STRONGEST = 200; // opacity of 255

    private Picture() {}

    /** An image small enough for the screen. */
    static Bitmap of(Rgb image) {
        double scale = Math.min(1, (double) LONGEST / Math.max(image.width, image.height));
        int width = Math.max(1, (int) Math.round(image.width * scale));
        int height = Math.max(1, (int) Math.round(image.height * scale));
        Rgb small = scale < 1 ? Resize.resize(image, width, height, Kernel.BILINEAR) : image;
        return Bitmap.createBitmap(small.toArgb(), width, height, Bitmap.Config.ARGB_8888);
    }

    /**
     * The picture with a heat map over the part that the network saw: the colour stands for the values above 0, in parts
     * of the largest one.
     */
    static Bitmap heated(Bitmap picture, Heat heat, InputContract input, int colour) throws BadImage {
        double enlarge = Math.max(1, (double) SMALLEST / Math.min(picture.getWidth(), picture.getHeight()));
        enlarge = Math.min(enlarge, (double) 4 * LONGEST / Math.max(picture.getWidth(), picture.getHeight()));
        int width = Math.max(1, (int) (picture.getWidth() * enlarge));
        int height = Math.max(1, (int) (picture.getHeight() * enlarge));
        Bitmap found = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888);
        Canvas canvas = new Canvas(found);
        Paint smooth = new Paint(Paint.FILTER_BITMAP_FLAG);
        canvas.drawBitmap(picture, null, new RectF(0, 0, width, height), smooth);
        double[] seen = Preprocess.seen(picture.getWidth(), picture.getHeight(), input);
        double x = (double) width / picture.getWidth();
        double y = (double) height / picture.getHeight();
        RectF where = new RectF(
                (float) (seen[0] * x), (float) (seen[1] * y), (float) (seen[2] * x), (float) (seen[3] * y));
        canvas.drawBitmap(layer(heat, colour), null, where, smooth);
        return found;
    }

    /** Few pixels, that are smoothed when they are drawn large; transparent where nothing speaks for the answer. */
    private static Bitmap layer(Heat heat, int colour) {
        float[] values = heat.values();
        int rows = Math.min(heat.height, CELLS);
        int columns = Math.min(heat.width, CELLS);
        int[] argb = new int[rows * columns];
        for (int y = 0; y < rows; y++) {
            for (int x = 0; x < columns; x++) {
                float value = mean(values, heat.width, x * heat.width / columns, (x + 1) * heat.width / columns,
                        y * heat.height / rows, (y + 1) * heat.height / rows);
                float share = heat.largest > 0 ? Math.max(0, value) / heat.largest : 0;
                argb[y * columns + x] = Math.round(STRONGEST * share) << 24 | colour & 0xFFFFFF;
            }
        }
        return Bitmap.createBitmap(argb, columns, rows, Bitmap.Config.ARGB_8888);
    }

    private static float mean(float[] values, int width, int left, int right, int top, int bottom) {
        double sum = 0;
        for (int y = top; y < bottom; y++) {
            for (int x = left; x < right; x++) {
                sum += values[y * width + x];
            }
        }
        return (float) (sum / ((right - left) * (bottom - top)));
    }
}
