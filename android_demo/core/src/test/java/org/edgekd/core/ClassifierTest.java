package org.edgekd.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

/** From images to answers. */
public final class ClassifierTest {
    private static final int SIZE = ModelTest.SIZE;

    private static Classifier.Result classify(boolean isInt8, int grey) throws Exception {
        Model model = ModelTest.model(isInt8);
        return new Classifier(model, new Fakes.MeanEngine(SIZE, 3, isInt8)).classify(Fakes.grey(20, 10, grey));
    }

    @Test
    public void brightImagesBelongToTheLastClass() throws Exception {
        Classifier.Result found = classify(false, 255);
        assertEquals(2, found.best);
        assertEquals(Math.exp(2) / (1 + Math.E + Math.exp(2)), found.confidence, 1e-6);
        assertFalse(found.isUnsure);
        assertArrayEquals(new int[] {2, 1, 0}, found.ranked());
        assertEquals(255, found.pixels()[0] & 255);
        assertTrue(found.preprocessMs > 0 && found.inferenceMs > 0);
    }

    @Test
    public void equalClassesAreInTheOrderOfTheirLabelsAndUnsure() throws Exception {
        Classifier.Result found = classify(false, 0);
        assertEquals(0, found.best);
        assertArrayEquals(new int[] {0, 1, 2}, found.ranked());
        assertEquals(1 / 3f, found.confidence, 1e-6);
        assertTrue(found.isUnsure);
    }

    @Test
    public void int8EndsGiveTheSameWithinAStep() throws Exception {
        for (int grey : new int[] {0, 1, 127, 128, 129, 254, 255}) {
            assertArrayEquals(classify(false, grey).probs(), classify(true, grey).probs(), 0.05f);
        }
    }

    @Test
    public void aCopyIsGivenAway() throws Exception {
        Classifier.Result found = classify(false, 255);
        found.probs()[2] = 0;
        assertEquals(found.confidence, found.probs()[2], 0);
    }

    @Test
    public void whatIsNoProbabilityIsRefused() throws Exception {
        for (float poison : new float[] {Float.NaN, -1, 2, Float.POSITIVE_INFINITY}) {
            Fakes.MeanEngine engine = new Fakes.MeanEngine(SIZE, 3, false);
            engine.poison = poison;
            Classifier classifier = new Classifier(ModelTest.model(false), engine);
            assertThrows(EngineException.class, () -> classifier.classify(Fakes.grey(8, 8, 100)));
        }
    }

    @Test
    public void anEngineOfAnotherModelIsRefused() throws Exception {
        Model model = ModelTest.model(false);
        assertThrows(BadModel.class, () -> new Classifier(model, new Fakes.MeanEngine(SIZE + 1, 3, false)));
        assertThrows(BadModel.class, () -> new Classifier(model, new Fakes.MeanEngine(SIZE, 4, false)));
        assertThrows(BadModel.class, () -> new Classifier(model, new Fakes.MeanEngine(SIZE, 3, true)));
    }

    @Test
    public void softmaxIsStable() {
        assertArrayEquals(new float[] {0, 1}, Session.softmax(new double[] {-1e6, 1e6}, 1), 0);
        assertArrayEquals(new float[] {0.5f, 0.5f}, Session.softmax(new double[] {1e300, 1e300}, 0.1), 0);
        assertEquals(1 / (1 + Math.exp(-2)), Session.softmax(new double[] {0, 1}, 0.5)[1], 1e-7);
    }
}
