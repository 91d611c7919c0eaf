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
        long end = System.nanoTime();
        return new Result(probs, pixels, model.unsureBelow, (prepared - begin) / 1e6, (end - prepared) / 1e6);
    }

    /** What the model says of an image, and how long it took. */
    public static final class Result {
        /** The index of the most probable class; the first of equal ones. */
        public final int best;

        /** Its probability. */
        public final float confidence;

        /** Whether the confidence is below the one from which on answers count. */
        public final boolean isUnsure;

        public final double preprocessMs;
        public final double inferenceMs;
        private final float[] probs;
        private final byte[] pixels;

        Result(float[] probs, byte[] pixels, double unsureBelow, double preprocessMs, double inferenceMs)
                throws EngineException {
            this.probs = probs;
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
            isUnsure = confidence < unsureBelow;
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
