package org.edgekd.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What Linux tells of this process and this machine in /proc and /sys; null, "" or empty for what may not be read, which
 * on Android is much.
 */
public final class Linux {
    private static final List<String> SHOWN =
            Arrays.asList("avx2", "avx512f", "avx512_vnni", "avx_vnni", "neon", "asimd", "asimddp", "i8mm", "sve");
    private static final double TICK_S = 0.01; // USER_HZ is 100 wherever Android or a desktop runs
    private static final double BUSY = 0.05; // of the busiest thread's time

    private Linux() {}

    /** Resident set size of this process now, in MiB. */
    public static Double rssMib() {
        return statusMib("VmRSS:");
    }

    /** The largest resident set size so far, or since {@link #forgetPeak}. */
    public static Double peakRssMib() {
        return statusMib("VmHWM:");
    }

    private static Double statusMib(String key) {
        for (String line : read("/proc/self/status").split("\n")) {
            if (line.startsWith(key)) {
                return Double.parseDouble(line.substring(key.length()).trim().split("\\s+")[0]) / 1024;
            }
        }
        return null;
    }

    /** Lets the largest resident set size start again from now, where that is allowed. */
    public static void forgetPeak() {
        try (FileOutputStream file = new FileOutputStream("/proc/self/clear_refs")) {
            file.write('5');
        } catch (IOException e) {
            // then it counts from the start of the process
        }
    }

    /**
     * Processor seconds of the calling thread and of those that native code started from it, by number: what draws the
     * screen, collects garbage or compiles is other work. Such threads have the caller's name, which Linux passes on (man 5
     * proc, comm); those of Java and of Android have names of their own.
     */
    public static Map<String, Double> threadSeconds() {
        Map<String, Double> found = new HashMap<>();
        String own = read("/proc/thread-self/comm");
        own = own.isEmpty() ? Thread.currentThread().getName() : own; // before Linux 3.17
        String[] names = new File("/proc/self/task").list();
        for (String name : names == null ? new String[0] : names) {
            String folder = "/proc/self/task/" + name;
            Double seconds = read(folder + "/comm").equals(own) ? threadSeconds(folder) : null;
            if (seconds != null) {
                found.put(name, seconds);
            }
        }
        return found;
    }

    /** Nanoseconds where the kernel counts them, else ticks. */
    private static Double threadSeconds(String folder) {
        String exact = read(folder + "/schedstat").split(" ")[0];
        if (exact.matches("[0-9]{1,18}") && !exact.equals("0")) {
            return Long.parseLong(exact) / 1e9;
        }
        String stat = read(folder + "/stat");
        String[] fields = stat.substring(stat.lastIndexOf(')') + 1).trim().split(" "); // names may hold spaces
        return fields.length > 12 ? (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) * TICK_S : null;
    }

    /** Processor seconds between two looks; threads that ended in between are not seen. */
    public static double seconds(Map<String, Double> before, Map<String, Double> after) {
        double sum = 0;
        for (double each : spent(before, after)) {
            sum += each;
        }
        return sum;
    }

    /** How many threads worked between two looks: those with a twentieth of the busiest one's time; null if none did. */
    public static Integer busyThreads(Map<String, Double> before, Map<String, Double> after) {
        List<Double> spent = spent(before, after);
        double most = spent.isEmpty() ? 0 : Collections.max(spent);
        int count = 0;
        for (double each : spent) {
            count += each > BUSY * most ? 1 : 0;
        }
        return most > 0 ? (Integer) count : null;
    }

    private static List<Double> spent(Map<String, Double> before, Map<String, Double> after) {
        List<Double> spent = new ArrayList<>();
        for (Map.Entry<String, Double> thread : after.entrySet()) {
            Double earlier = before.get(thread.getKey());
            spent.add(thread.getValue() - (earlier == null ? 0 : earlier));
        }
        return spent;
    }

    /** Those features of the processor that decide how fast int8 is. */
    public static List<String> cpuFeatures() {
        for (String line : read("/proc/cpuinfo").split("\n")) {
            if (line.startsWith("flags") || line.startsWith("Features")) {
                Set<String> has = new HashSet<>(Arrays.asList(line.substring(line.indexOf(':') + 1).trim().split(" ")));
                List<String> found = new ArrayList<>(SHOWN);
                found.retainAll(has);
                return found;
            }
        }
        return Collections.emptyList();
    }

    /** The scaling governor of the first processor. */
    public static String governor() {
        return read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    }

    /** The highest clock that any processor can have. */
    public static Double maxFrequencyMhz() {
        return highest("/sys/devices/system/cpu", "cpu[0-9]+", "cpufreq/cpuinfo_max_freq", 0, 1e9);
    }

    /** The highest clock of the processors at this moment. */
    public static Double frequencyMhz() {
        return highest("/sys/devices/system/cpu", "cpu[0-9]+", "cpufreq/scaling_cur_freq", 0, 1e9);
    }

    /** The highest temperature that the machine tells. */
    public static Double temperatureC() {
        return highest("/sys/class/thermal", "thermal_zone[0-9]+", "temp", 0, 150);
    }

    /** Running and waiting processes, over the last minute. */
    public static Double loadOneMinute() {
        String load = read("/proc/loadavg").split(" ")[0];
        return load.matches("[0-9]+\\.[0-9]+") ? Double.valueOf(load) : null;
    }

    /** The memory of the machine. */
    public static Double memoryMib() {
        for (String line : read("/proc/meminfo").split("\n")) {
            if (line.startsWith("MemTotal:")) {
                return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
            }
        }
        return null;
    }

    /** The highest of the numbers / 1000 in `folder`/NAME/`file`, of those between `low` and `high`. */
    private static Double highest(String folder, String name, String file, double low, double high) {
        Double highest = null;
        String[] names = new File(folder).list();
        for (String each : names == null ? new String[0] : names) {
            String text = each.matches(name) ? read(folder + "/" + each + "/" + file) : "";
            double value = text.matches("-?[0-9]{1,15}") ? Long.parseLong(text) / 1e3 : Double.NaN;
            if (value > low && value < high && (highest == null || value > highest)) {
                highest = value;
            }
        }
        return highest;
    }

    /** The text of a file without its ends; "" if it cannot be read. */
    private static String read(String path) {
        try (InputStream file = new FileInputStream(path)) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            byte[] piece = new byte[1 << 14];
            for (int count = file.read(piece); count >= 0; count = file.read(piece)) {
                content.write(piece, 0, count);
            }
            return new String(content.toByteArray(), StandardCharsets.UTF_8).trim();
        } catch (IOException e) {
            return "";
        }
    }
}
