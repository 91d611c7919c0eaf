package org.edgekd.core;

/**
 * The heat map inside a model file: what each place of the input adds to the logit of each class. The mean over all places
 * and the class's bias are the logit, so that nothing is estimated, and it comes with the answer.
 */
public final class ClassMap {
    public final int height;
    public final int width;
    private final int classes;
    private final float[] values; // [height, width, classes]

    ClassMap(int height, int width, int classes, float[] values) throws EngineException {
        for (float value : values) {
            if (!(Math.abs(value) < 1e30f)) { // so written, NaN is refused too
                throw new EngineException("The model gave a heat map of " + value + ".");
            }
        }
        this.height = height;
        this.width = width;
        this.classes = classes;
        this.values = values;
    }

    /** The map of one class, in logits. */
    public Heat of(int target) {
        float[] found = new float[height * width];
        for (int i = 0; i < found.length; i++) {
            found[i] = values[i * classes + target];
        }
        return new Heat(height, width, found);
    }

    /**
     * Where in a picture a class has its strongest evidence: the middle of all that reaches half of the largest value.
     *
     * @param seen the part of the picture that the network sees, as {@link Preprocess#seen} gives
     * @param width of the picture
     * @param height of the picture
     * @return null where no place speaks for the class
     */
    public Region region(int target, double[] seen, int width, int height) {
        Heat heat = of(target);
        float[] map = heat.values();
        float half = heat.largest / 2;
        double sum = 0;
        double x = 0;
        double y = 0;
        for (int i = 0; i < map.length; i++) {
            if (half > 0 && map[i] >= half) {
                sum += map[i];
                x += map[i] * (i % this.width + 0.5) / this.width;
                y += map[i] * (i / this.width + 0.5) / this.height;
            }
        }
        if (sum == 0) {
            return null;
        }
        double across = (seen[0] + x / sum * (seen[2] - seen[0])) / width;
        double down = (seen[1] + y / sum * (seen[3] - seen[1])) / height;
        return Region.of(across, down);
    }
}
