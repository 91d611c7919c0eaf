package org.edgekd.demo;

import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.graphics.RectF;
import org.edgekd.core.BadImage;
import org.edgekd.core.InputContract;
import org.edgekd.core.Kernel;
import org.edgekd.core.Occlusion;
import org.edgekd.core.Preprocess;
import org.edgekd.core.Resize;
import org.edgekd.core.Rgb;

/** Bitmaps for the screen; what the network sees is made elsewhere. */
final class Picture {
    private static final int LONGEST = 768; // px
    private static final int SMALLEST = 256; // px of the shorter side that a heat map is drawn on

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
     * The picture with a heat map over the part that the network saw: the colour stands for the drop of the probability, in
     * parts of the largest one.
     */
    static Bitmap heated(Bitmap picture, Occlusion.HeatMap heat, InputContract input, int colour) throws BadImage {
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

    /** Transparent where nothing speaks for the answer. */
    private static Bitmap layer(Occlusion.HeatMap heat, int colour) {
        float[] values = heat.values();
        int[] argb = new int[values.length];
        for (int i = 0; i < argb.length; i++) {
            float share = heat.largest > 0 ? Math.max(0, values[i]) / heat.largest : 0;
            argb[i] = Math.round(190 * share) << 24 | colour & 0xFFFFFF;
        }
        return Bitmap.createBitmap(argb, heat.size, heat.size, Bitmap.Config.ARGB_8888);
    }
}
