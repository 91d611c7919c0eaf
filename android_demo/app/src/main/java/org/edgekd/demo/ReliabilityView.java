package org.edgekd.demo;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.util.AttributeSet;
import android.view.View;
import org.edgekd.core.FieldScores;

/**
 * A reliability diagram: of the answers of similar confidence, the share that was right, each with its exact 95 % interval;
 * on the diagonal where confidence says what it should. Confidence grows from left to right in every language, as numbers do.
 */
public final class ReliabilityView extends View {
    private static final int MARGIN = 6; // dp, for dots on the edge

    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
    private final float dp = getResources().getDisplayMetrics().density;
    private FieldScores scores;

    public ReliabilityView(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    void show(FieldScores found) {
        scores = found;
        StringBuilder words = new StringBuilder(getContext().getString(R.string.reliability_description));
        for (FieldScores.Bin bin : found.bins) {
            if (bin.accuracy != null) {
                words.append(' ').append(getContext().getString(R.string.reliability_bin,
                        Numbers.percent(bin.confidence), Numbers.percent(bin.accuracy.share()), bin.accuracy.of));
            }
        }
        setContentDescription(words);
        invalidate();
    }

    @Override
    protected void onMeasure(int widthSpec, int heightSpec) {
        int width = MeasureSpec.getSize(widthSpec);
        setMeasuredDimension(width, Math.min(width, (int) (210 * dp)));
    }

    @Override
    protected void onDraw(Canvas canvas) {
        float size = getHeight() - 2 * MARGIN * dp;
        float left = (getWidth() - size) / 2;
        canvas.translate(left, MARGIN * dp);
        paint.setStrokeWidth(dp);
        paint.setStyle(Paint.Style.STROKE);
        paint.setColor(getContext().getColor(R.color.line));
        canvas.drawRect(0, 0, size, size, paint);
        canvas.drawLine(0, size, size, 0, paint);
        for (FieldScores.Bin bin : scores == null ? new java.util.ArrayList<FieldScores.Bin>() : scores.bins) {
            if (bin.accuracy != null) {
                draw(canvas, bin, size);
            }
        }
    }

    private void draw(Canvas canvas, FieldScores.Bin bin, float size) {
        float x = (float) (bin.confidence * size);
        float half = size / FieldScores.BINS / 2 - dp;
        paint.setStyle(Paint.Style.STROKE);
        paint.setStrokeWidth(1.5f * dp);
        paint.setColor(getContext().getColor(R.color.bar_soft));
        float low = (float) ((1 - bin.accuracy.low) * size);
        float high = (float) ((1 - bin.accuracy.high) * size);
        canvas.drawLine(x, low, x, high, paint);
        canvas.drawLine(x - half / 2, low, x + half / 2, low, paint);
        canvas.drawLine(x - half / 2, high, x + half / 2, high, paint);
        paint.setStyle(Paint.Style.FILL);
        paint.setColor(getContext().getColor(R.color.bar));
        canvas.drawCircle(x, (float) ((1 - bin.accuracy.share()) * size), 4 * dp, paint);
    }
}
