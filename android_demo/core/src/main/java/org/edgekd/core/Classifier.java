package org.edgekd.core;

/** An image to an answer. */
public final class Classifier {
    private final Model model;
    private final Session session;

    /**
     * A model on an engine that holds it.
     *
     * @throws BadModel if they do not belong together
     */
    public Classifier(Model model, Engine engine) throws BadModel {
        this.model = model;
        this.session = model.session(engine);
    }

    /** The answer to an image. */
    public Result classify(Rgb image) throws BadImage, EngineException {
        long begin = System.nanoTime();
        byte[] pixels = Preprocess.pixels(image, model.input);
        long prepared = System.nanoTime();
        float[] probs = session.probs(pixels);
        ClassMap map = model.heatHeight > 0 ? session.heatmap(model.heatHeight, model.heatWidth) : null;
        long end = System.nanoTime();
        return new Result(probs, pixels, map, model, (prepared - begin) / 1e6, (end - prepared) / 1e6);
    }

    /** What the model says of an image, and how long it took. */
    public static final class Result {
        /** The index of the most probable class; the first of equal ones. */
        public final int best;

        /** Its probability. */
        public final float confidence;

        /**
         * Whether the answer is "not sure": where the model has sets of classes that may be right, none or all of them is
         * in it; else the confidence is below the one from which on answers count.
         */
        public final boolean isUnsure;

        /** The model's own heat map; null for a model without. */
        public final ClassMap map;

        public final double preprocessMs;
        public final double inferenceMs;
        private final float[] probs;
        private final byte[] pixels;
        private final boolean[] possible;

        Result(float[] probs, byte[] pixels, ClassMap map, Model model, double preprocessMs, double inferenceMs)
                throws EngineException {
            this.probs = probs;
            this.map = map;
            this.pixels = pixels;
            this.preprocessMs = preprocessMs;
            this.inferenceMs = inferenceMs;
            int best = 0;
            for (int k = 0; k < probs.length; k++) {
                if (!(probs[k] >= 0 && probs[k] <= 1.001f)) { // so written, NaN is refused too
                    throw new EngineException("The model gave " + probs[k] + ", which is no probability.");
                }
                best = probs[k] > probs[best] ? k : best;
            }
            this.best = best;
            confidence = probs[best];
            possible = model.possible(probs);
            int count = possible().length;
            isUnsure = model.hasSets ? count == 0 || count == probs.length : confidence < model.unsureBelow;
        }

        /** The classes that it may be, from the most to the least probable; without a record of that the most probable. */
        public int[] possible() {
            if (possible == null) {
                return new int[] {best};
            }
            int count = 0;
            int[] found = new int[probs.length];
            for (int k : ranked()) {
                if (possible[k]) {
                    found[count++] = k;
                }
            }
            return java.util.Arrays.copyOf(found, count);
        }

        /** Calibrated probabilities [K], in the order of the model's labels. */
        public float[] probs() {
            return probs.clone();
        }

        /** Class indices from the most to the least probable; equal ones in the order of the labels. */
        public int[] ranked() {
            Integer[] order = new Integer[probs.length];
            for (int k = 0; k < order.length; k++) {
                order[k] = k;
            }
            java.util.Arrays.sort(order, (a, b) -> Float.compare(probs[b], probs[a])); // stable
            int[] ranked = new int[order.length];
            for (int k = 0; k < order.length; k++) {
                ranked[k] = order[k];
            }
            return ranked;
        }

        /** What the network saw: pixels [S, S, 3] uint8, the input of {@link Occlusion}. */
        public byte[] pixels() {
            return pixels.clone();
        }
    }
}
