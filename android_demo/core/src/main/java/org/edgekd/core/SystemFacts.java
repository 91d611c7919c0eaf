package org.edgekd.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The device as it describes itself, to be filled in; "" or null for what it does not say. */
public final class SystemFacts {
    /** "aarch64", "x86_64", "armv7l". */
    public String machine = "";

    /** "Android 14". */
    public String system = "";

    public String model = "";
    public String cpu = "";
    public Integer cores;
    public final List<String> cpuFeatures = new ArrayList<>();
    public String governor = "";
    public Double maxFrequencyMhz;
    public Double memoryMib;

    /** Name to version: "app" to "0.1.0". */
    public final Map<String, String> software = new LinkedHashMap<>();

    /** As `edgekd.device/1` has it. */
    Map<String, Object> toJson() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("machine", text(machine));
        found.put("system", text(system));
        found.put("model", text(model));
        found.put("cpu", text(cpu));
        found.put("cores", cores);
        found.put("cpu_features", cpuFeatures);
        found.put("governor", text(governor));
        found.put("max_frequency_mhz", Json.finite(maxFrequencyMhz));
        found.put("memory_mib", Json.finite(memoryMib));
        Map<String, Object> versions = new LinkedHashMap<>();
        for (Map.Entry<String, String> each : software.entrySet()) {
            versions.put(each.getKey(), text(each.getValue()));
        }
        found.put("software", versions);
        return found;
    }

    private static String text(String value) {
        return value == null ? "" : value;
    }
}
