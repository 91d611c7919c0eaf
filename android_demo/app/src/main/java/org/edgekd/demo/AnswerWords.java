package org.edgekd.demo;

import android.content.Context;
import org.edgekd.core.Classifier;
import org.edgekd.core.Model;

/** What an answer is called, on every screen and in what is shared. */
final class AnswerWords {
    private static final int SHORT = 12; // digits of a sha256 that tell models apart
    private static final int MOST_SHARED = 10; // classes
    private static final int MOST_NAMED = 6; // in one answer

    private final Context context;
    private final Model model;

    AnswerWords(Context context, Model model) {
        this.context = context;
        this.model = model;
    }

    String label(int index) {
        return model.displayNames.get(index);
    }

    /** "meningioma, 94.8%", "glioma or meningioma", "Not sure". */
    String headline(Classifier.Result result) {
        int[] possible = result.possible();
        if (result.isUnsure) {
            return context.getString(R.string.not_sure);
        }
        return possible.length > 1 ? joined(possible) : best(result);
    }

    /** The most probable class and its probability, whether it is the answer or not. */
    String best(Classifier.Result result) {
        return context.getString(R.string.answer, label(result.best), Numbers.percent(result.confidence));
    }

    /** Why the answer is not one class; "" if it is. */
    String why(Classifier.Result result) {
        String best = label(result.best);
        int possible = result.possible().length;
        if (!model.hasSets) {
            String limit = Numbers.percent(model.unsureBelow);
            return result.isUnsure ? context.getString(R.string.not_sure_why, best, limit) : "";
        }
        if (result.isUnsure) {
            return context.getString(possible == 0 ? R.string.not_sure_none : R.string.not_sure_all, best);
        }
        return possible > 1 ? context.getString(R.string.several_why, best, Math.round(100 * model.setAlpha)) : "";
    }

    /** "glioma or meningioma". */
    private String joined(int[] classes) {
        String found = label(classes[0]);
        for (int i = 1; i < Math.min(MOST_NAMED, classes.length); i++) {
            found = context.getString(R.string.or, found, label(classes[i]));
        }
        int more = classes.length - MOST_NAMED;
        return more > 0 ? found + " " + context.getString(R.string.more_classes, more) : found;
    }

    /** Everything about an answer that goes out with its picture. */
    String shared(Classifier.Result result, boolean isGenerated) {
        StringBuilder text = new StringBuilder(headline(result));
        int[] ranked = result.ranked();
        float[] probs = result.probs();
        for (int i = 0; i < Math.min(MOST_SHARED, ranked.length); i++) {
            String p = Numbers.percent(probs[ranked[i]]);
            text.append('\n').append(context.getString(R.string.probability_description, label(ranked[i]), p));
        }
        if (isGenerated) {
            text.append('\n').append(context.getString(R.string.generated));
        }
        return text.append('\n').append(origin()).append('\n')
                .append(context.getString(R.string.research_only)).toString();
    }

    /** "Model mri4p-mobilenetv2, 9219a5aa75b5". */
    String origin() {
        return context.getString(R.string.model_version, model.name, shortened(model.sha256));
    }

    static String shortened(String sha256) {
        return sha256.substring(0, SHORT);
    }
}
