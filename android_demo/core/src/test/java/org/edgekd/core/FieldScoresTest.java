package org.edgekd.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Test;

/** Scores of marked answers, by hand and with numbers of SciPy; tests/android/test_core.py compares many with Python's. */
public final class FieldScoresTest {
    private static final String FORM = "2026-03-01T00:00:00Z,m,%s,%s,\"{\"\"a\"\":%s,\"\"b\"\":%s}\",%s,,%s,%s,%s";

    private static LogEntry entry(int image, String sha256, double a, boolean isUnsure, String mark, String truth)
            throws BadLog {
        String answer = a >= 0.5 ? "a" : "b";
        String unsure = isUnsure ? "yes" : "no";
        String name = Hash.sha256(new byte[] {(byte) image});
        return LogEntry.read(String.format(FORM, sha256, name, a, 1 - a, answer, unsure, mark, truth));
    }

    @Test
    public void exactIntervals() {
        double[][] scipy = { // binomtest(count, of).proportion_ci(method="exact")
            {0, 10, 0, 0.30849710781876294},
            {10, 10, 0.6915028921812371, 1},
            {4, 5, 0.28358206388191054, 0.9949492366205319},
            {467, 500, 0.9085571013891323, 0.9541366428894122},
            {1, 1, 0.025, 1},
        };
        for (double[] each : scipy) {
            Proportion found = new Proportion((int) each[0], (int) each[1]);
            assertEquals(each[2], found.low, 1e-12);
            assertEquals(each[3], found.high, 1e-12);
            assertEquals(each[0] / each[1], found.share(), 0);
        }
        for (int[] wrong : new int[][] {{0, 0}, {-1, 3}, {4, 3}}) {
            assertThrows(IllegalArgumentException.class, () -> new Proportion(wrong[0], wrong[1]));
        }
    }

    @Test
    public void scoresByHand() throws Exception {
        String sha = Hash.sha256(new byte[0]);
        String other = Hash.sha256(new byte[] {9});
        List<LogEntry> log = new ArrayList<>(Arrays.asList(
                entry(1, sha, 0.875, false, "right", "a"),
                entry(2, other, 0.75, false, "right", "a"),
                entry(3, sha, 0.25, false, "wrong", "a"),
                entry(4, sha, 0.5, true, "wrong", ""),
                entry(5, sha, 0.125, false, "right", "b")));
        List<FieldScores> all = FieldScores.byModel(log);
        assertEquals(2, all.size());
        FieldScores found = all.get(0);
        assertEquals(sha, found.modelSha256);
        same(2, 4, found.accuracy);
        same(1, 4, found.unsure);
        same(2, 3, found.sureAccuracy);
        assertNull(found.setCoverage);
        same(1, 2, found.classes.get(0).recall);
        same(1, 2, found.classes.get(0).precision);
        same(1, 1, found.classes.get(1).recall);
        same(1, 2, found.classes.get(1).precision);
        assertEquals((2 * 0.125 + 0.75 + 0.5) / 4, found.ece, 1e-12);
        same(2, 2, found.bins.get(13).accuracy);
        assertEquals(0.875, found.bins.get(13).confidence, 0);
        assertNull(found.bins.get(0).accuracy);
        assertEquals(0, FieldScores.byModel(new ArrayList<>()).size());
    }

    private static void same(int count, int of, Proportion found) {
        assertEquals(count, found.count);
        assertEquals(of, found.of);
    }
}
