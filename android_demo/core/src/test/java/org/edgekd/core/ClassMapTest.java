package org.edgekd.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.util.Map;
import org.junit.Test;

/** The heat map inside a model file, and where in the picture it is strongest. */
public final class ClassMapTest {
    private static final int SIZE = ModelTest.SIZE;
    private static final double[] WHOLE = {0, 0, 300, 200};

    /** A map of 3 x 3 places and two classes: the first has one place, the second nothing but evidence against it. */
    private static ClassMap map(int row, int column, float value) throws EngineException {
        float[] values = new float[18];
        for (int i = 0; i < 9; i++) {
            values[2 * i + 1] = -1;
        }
        values[2 * (3 * row + column)] = value;
        return new ClassMap(3, 3, 2, values);
    }

    @Test
    public void eachClassHasItsOwnPlane() throws Exception {
        ClassMap map = map(1, 2, 4);
        assertArrayEquals(new float[] {0, 0, 0, 0, 0, 4, 0, 0, 0}, map.of(0).values(), 0);
        assertArrayEquals(new float[] {-1, -1, -1, -1, -1, -1, -1, -1, -1}, map.of(1).values(), 0);
        assertEquals(4, map.of(0).largest, 0);
        assertEquals(0, map.of(1).largest, 0);
    }

    @Test
    public void everyNinthHasItsName() throws Exception {
        for (int row = 0; row < 3; row++) {
            for (int column = 0; column < 3; column++) {
                assertEquals(Region.values()[3 * row + column], map(row, column, 4).region(0, WHOLE, 300, 200));
            }
        }
        assertEquals(Region.UPPER_LEFT, Region.values()[0]);
        assertEquals(Region.LOWER_RIGHT, Region.values()[8]);
        assertNull(map(0, 0, 4).region(1, WHOLE, 300, 200));
    }

    @Test
    public void theMiddleOfWhatIsStrongCounts() throws Exception {
        float[] values = new float[25];
        values[0] = 10; // upper left
        values[4] = 9; // upper right
        values[24] = 4; // less than half: does not count
        assertEquals(Region.TOP, new ClassMap(5, 5, 1, values).region(0, WHOLE, 300, 200));
    }

    @Test
    public void aCroppedNetworkSeesTheMiddleAlone() throws Exception {
        double[] seen = {100, 60, 200, 160};
        assertEquals(Region.MIDDLE, map(0, 0, 4).region(0, seen, 300, 200));
        assertEquals(Region.BOTTOM, map(2, 1, 4).region(0, seen, 300, 200));
    }

    @Test
    public void whatIsNoNumberIsRefused() {
        for (float wrong : new float[] {Float.NaN, Float.POSITIVE_INFINITY, -2e30f}) {
            assertThrows(EngineException.class, () -> map(0, 0, wrong));
        }
    }

    private static Model model(Object heatmap) throws Exception {
        Map<String, Object> description = ModelTest.described(false, Fakes.grey(9, 7, 200));
        description.put("heatmap", heatmap);
        return Model.read(ModelTest.bytes(description), ByteBuffer.wrap(ModelTest.FILE));
    }

    @Test
    public void theAnswerBringsItsMap() throws Exception {
        Fakes.MeanEngine engine = new Fakes.MeanEngine(SIZE, 3, false);
        engine.map = new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
        Model model = model(ModelTest.object("height", 2, "width", 2));
        Classifier.Result found = new Classifier(model, engine).classify(Fakes.grey(20, 10, 255));
        assertEquals(1, engine.runs); // the map costs no inference of its own
        assertArrayEquals(new float[] {3, 6, 9, 12}, found.map.of(found.best).values(), 0);
        assertEquals(12, found.map.of(2).largest, 0);
    }

    @Test
    public void aModelWithoutOneHasNone() throws Exception {
        Model model = model(null);
        assertEquals(0, model.heatHeight);
        assertNull(new Classifier(model, new Fakes.MeanEngine(SIZE, 3, false)).classify(Fakes.grey(9, 9, 9)).map);
    }

    @Test
    public void anEngineWithAnotherMapIsRefused() throws Exception {
        Model model = model(ModelTest.object("height", 2, "width", 2));
        BadModel found = assertThrows(BadModel.class, () -> model.session(new Fakes.MeanEngine(SIZE, 3, false)));
        assertTrue(found.getMessage(), found.getMessage().contains("another heat map"));
        Fakes.MeanEngine engine = new Fakes.MeanEngine(SIZE, 3, false);
        engine.map = new float[12];
        assertThrows(EngineException.class, () -> model(null).session(engine).heatmap(3, 2));
    }

    @Test
    public void aDescriptionThatCannotBeIsRefused() {
        for (Object wrong : new Object[] {ModelTest.object("height", 0, "width", 2), ModelTest.object("height", 2), 3}) {
            assertThrows(BadModel.class, () -> model(wrong));
        }
    }

    // --- Classes that may be right -----------------------------------------------------------------------------------

    private static Classifier.Result answer(double quantile, int grey) throws Exception {
        Map<String, Object> description = ModelTest.described(false, Fakes.grey(9, 7, 200));
        description.put("conformal", ModelTest.object("alpha", 0.1, "quantile", quantile));
        Model model = Model.read(ModelTest.bytes(description), ByteBuffer.wrap(ModelTest.FILE));
        return new Classifier(model, new Fakes.MeanEngine(SIZE, 3, false)).classify(Fakes.grey(8, 8, grey));
    }

    @Test
    public void theSetHoldsWhatIsProbableEnough() throws Exception {
        // softmax(0, 1, 2) = 0.090, 0.245, 0.665
        assertArrayEquals(new int[] {2}, answer(0.5, 255).possible());
        assertFalse(answer(0.5, 255).isUnsure);
        assertArrayEquals(new int[] {2, 1}, answer(0.8, 255).possible());
        assertFalse(answer(0.8, 255).isUnsure); // two of three say something
    }

    @Test
    public void noneOrAllOfTheClassesIsNotSure() throws Exception {
        assertArrayEquals(new int[] {}, answer(0.2, 255).possible());
        assertTrue(answer(0.2, 255).isUnsure);
        assertArrayEquals(new int[] {2, 1, 0}, answer(0.95, 255).possible());
        assertTrue(answer(0.95, 255).isUnsure);
        assertEquals(3, answer(1 - 1 / 3.0, 0).possible().length); // equal on paper
    }

    @Test
    public void withoutARecordTheConfidenceDecides() throws Exception {
        Classifier.Result found =
                new Classifier(model(null), new Fakes.MeanEngine(SIZE, 3, false)).classify(Fakes.grey(8, 8, 255));
        assertArrayEquals(new int[] {found.best}, found.possible());
    }
}
