package org.edgekd.demo;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Paint;
import android.graphics.RectF;
import android.graphics.Typeface;
import android.text.Layout;
import android.text.StaticLayout;
import android.text.TextPaint;
import java.io.ByteArrayOutputStream;
import org.edgekd.core.Classifier;

/** An image with its answer below it: many apps drop the text that comes with a picture, and none shall go without. */
final class AnswerPicture {
    private static final int WIDTH = 768; // px
    private static final int TALLEST = 1024; // px, of the image
    private static final int MARGIN = 24;

    private AnswerPicture() {}

    /**
     * The PNG file.
     *
     * @param isGenerated whether the image is a sample, of which no one shall think that it is a patient's
     */
    static byte[] png(Context context, Bitmap image, boolean isGenerated, AnswerWords words, Classifier.Result result) {
        boolean isOne = !result.isUnsure && result.possible().length == 1;
        String[] lines = {
            words.headline(result),
            isOne ? "" : context.getString(R.string.most_probable, words.best(result)),
            isGenerated ? context.getString(R.string.generated) : "",
            words.origin(),
            context.getString(R.string.research_only),
        };
        int[] sizes = {36, 26, 26, 22, 22};
        StaticLayout[] texts = new StaticLayout[lines.length];
        int height = 0;
        for (int i = 0; i < lines.length; i++) {
            texts[i] = text(lines[i], sizes[i], i == 0);
            height += lines[i].isEmpty() ? 0 : texts[i].getHeight() + MARGIN / 2;
        }
        double scale = Math.min((double) WIDTH / image.getWidth(), (double) TALLEST / image.getHeight());
        float shownWidth = (float) Math.max(1, image.getWidth() * scale);
        float shownHeight = (float) Math.max(1, image.getHeight() * scale);
        Bitmap found = Bitmap.createBitmap(WIDTH, (int) shownHeight + 2 * MARGIN + height, Bitmap.Config.ARGB_8888);
        Canvas canvas = new Canvas(found);
        canvas.drawColor(Color.WHITE);
        float left = (WIDTH - shownWidth) / 2;
        RectF where = new RectF(left, 0, left + shownWidth, shownHeight);
        canvas.drawBitmap(image, null, where, new Paint(Paint.FILTER_BITMAP_FLAG));
        canvas.translate(MARGIN, shownHeight + MARGIN);
        for (int i = 0; i < lines.length; i++) {
            if (!lines[i].isEmpty()) {
                texts[i].draw(canvas);
                canvas.translate(0, texts[i].getHeight() + MARGIN / 2f);
            }
        }
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        found.compress(Bitmap.CompressFormat.PNG, 100, content);
        found.recycle();
        return content.toByteArray();
    }

    private static StaticLayout text(String text, int size, boolean isBold) {
        TextPaint paint = new TextPaint(Paint.ANTI_ALIAS_FLAG);
        paint.setTextSize(size);
        paint.setColor(Color.BLACK);
        paint.setTypeface(isBold ? Typeface.DEFAULT_BOLD : Typeface.DEFAULT);
        return StaticLayout.Builder.obtain(text, 0, text.length(), paint, WIDTH - 2 * MARGIN)
                .setAlignment(Layout.Alignment.ALIGN_NORMAL)
                .build();
    }
}
