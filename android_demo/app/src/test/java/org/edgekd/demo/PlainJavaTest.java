package org.edgekd.demo;

import static org.junit.Assert.assertEquals;

import java.util.Locale;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;

/** What of the app needs no Android. */
public class PlainJavaTest {
    private final Locale before = Locale.getDefault();

    @Before
    public void setUp() {
        Locale.setDefault(Locale.US);
    }

    @After
    public void tearDown() {
        Locale.setDefault(before);
    }

    /** Nothing is shown as certain or impossible that is not. */
    @Test
    public void percent() {
        assertEquals("93.9%", Numbers.percent(0.93854));
        assertEquals("100.0%", Numbers.percent(1));
        assertEquals("> 99.9%", Numbers.percent(0.99999));
        assertEquals("0.0%", Numbers.percent(0));
        assertEquals("< 0.1%", Numbers.percent(1e-7));
    }

    @Test
    public void numbers() {
        assertEquals("4.10", Numbers.number(4.1));
        assertEquals("18.4", Numbers.number(18.4));
        assertEquals("163", Numbers.number(163.4));
        assertEquals("1.2e-07", Numbers.small(1.2e-7));
        assertEquals("6.3", Numbers.points(0.063));
    }

    /** Every orientation puts each pixel where no other goes. */
    @Test
    public void orientationsMoveEveryPixel() {
        int width = 3;
        int height = 2;
        for (int orientation = 1; orientation <= 8; orientation++) {
            int[] steps = Orientation.steps(orientation, width, height);
            int places = 0;
            for (int y = 0; y < height; y++) {
                for (int x = 0; x < width; x++) {
                    places |= 1 << steps[0] + x * steps[1] + y * steps[2];
                }
            }
            assertEquals((1 << width * height) - 1, places);
        }
    }

    /** Pillow's alpha_composite over black: rounded halves up in its own way, 0 and 255 exactly. */
    @Test
    public void overBlack() {
        assertEquals(0, Pixels.overBlack(255, 0));
        assertEquals(255, Pixels.overBlack(255, 255));
        assertEquals(77, Pixels.overBlack(77, 255));
        assertEquals(50, Pixels.overBlack(100, 128));
    }
}
