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
        found.put("machine", machine);
        found.put("system", system);
        found.put("model", model);
        found.put("cpu", cpu);
        found.put("cores", cores);
        found.put("cpu_features", cpuFeatures);
        found.put("governor", governor);
        found.put("max_frequency_mhz", maxFrequencyMhz);
        found.put("memory_mib", memoryMib);
        found.put("software", software);
        return found;
    }
}
