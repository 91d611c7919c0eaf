package org.edgekd.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.Assume;
import org.junit.Before;
import org.junit.Test;

/** What Linux tells of this process. */
public final class LinuxTest {
    @Before
    public void onLinux() {
        Assume.assumeTrue("needs Linux", System.getProperty("os.name").equals("Linux"));
    }

    @Test
    public void memory() {
        assertTrue(Linux.rssMib() > 1);
        Linux.forgetPeak();
        assertTrue(Linux.peakRssMib() >= 0.9 * Linux.rssMib());
        assertTrue(Linux.memoryMib() > 64);
    }

    @Test
    public void threadsThatWorked() {
        Map<String, Double> before = new HashMap<>();
        Map<String, Double> after = new HashMap<>();
        double[][] seconds = {{1, 2}, {5, 5.9}, {0, 0.04}, {3, 3}};
        for (int i = 0; i < seconds.length; i++) {
            before.put("" + i, seconds[i][0]);
            after.put("" + i, seconds[i][1]);
        }
        after.put("new", 0.06);
        assertEquals(3, (int) Linux.busyThreads(before, after));
        assertEquals(2.0, Linux.seconds(before, after), 1e-9);
        assertNull(Linux.busyThreads(after, after));
        assertNull(Linux.busyThreads(after, Collections.emptyMap()));
    }

    @Test
    public void threadsWithANameOfTheirOwnAreOtherWork() throws Exception {
        AtomicBoolean isOver = new AtomicBoolean();
        Thread screen = new Thread(() -> {
            while (!isOver.get()) {
                Math.sin(System.nanoTime());
            }
        }, "RenderThread");
        screen.start();
        FutureTask<Integer> count = new FutureTask<>(() -> {
            Map<String, Double> before = Linux.threadSeconds();
            for (long end = System.nanoTime() + 300_000_000L; System.nanoTime() < end; ) {
                Math.sin(System.nanoTime());
            }
            Map<String, Double> after = Linux.threadSeconds();
            assertEquals(1, after.size());
            return Linux.busyThreads(before, after);
        });
        new Thread(count, "edgekd-measure").start();
        try {
            assertEquals(1, (int) count.get());
        } finally {
            isOver.set(true);
        }
    }

    @Test
    public void aBusyThreadIsSeen() {
        Map<String, Double> before = Linux.threadSeconds();
        double sum = 0;
        for (long end = System.nanoTime() + 200_000_000L; System.nanoTime() < end; sum += Math.sin(sum + 1)) {}
        Map<String, Double> after = Linux.threadSeconds();
        assertTrue(sum > Double.NEGATIVE_INFINITY);
        assertNotNull(Linux.busyThreads(before, after));
        assertTrue(Linux.seconds(before, after) > 0);
    }
}
