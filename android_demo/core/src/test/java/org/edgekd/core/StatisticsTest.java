package org.edgekd.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import org.junit.Test;

/** Statistics with numbers of NumPy: quantile (linear), mean, std(ddof=1). */
public final class StatisticsTest {
    @Test
    public void numbersOfNumpy() {
        Statistics found = Statistics.of(new double[] {7, 1, 4, 2, 10});
        assertEquals(5, found.count);
        assertEquals(4, found.median, 0);
        assertEquals(8.8, found.p90, 1e-12);
        assertEquals(9.88, found.p99, 1e-12);
        assertEquals(4.8, found.mean, 1e-12);
        assertEquals(3.7013511046643495, found.std, 1e-12);
    }

    @Test
    public void oneTime() {
        Statistics found = Statistics.of(new double[] {3});
        assertEquals(3, found.p99, 0);
        assertEquals(0, found.std, 0);
    }

    @Test
    public void givenTimesStayInTheirOrder() {
        double[] times = {2, 1};
        assertEquals(1.5, Statistics.median(times), 0);
        assertEquals(2, times[0], 0);
    }

    @Test
    public void noTimesAreNone() {
        double[][] wrong = {{}, {-1}, {1, Double.NaN}, {1, Double.POSITIVE_INFINITY}};
        for (double[] times : wrong) {
            assertThrows(IllegalArgumentException.class, () -> Statistics.of(times));
        }
    }
}
