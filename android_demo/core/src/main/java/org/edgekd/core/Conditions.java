package org.edgekd.core;

import java.util.LinkedHashMap;
import java.util.Map;

/** The state of the device at one moment, to be filled in; null for what it does not say. */
public final class Conditions {
    public Double loadOneMinute;

    /** Highest of the cores at this moment. */
    public Double frequencyMhz;

    public Double temperatureC;
    public Boolean throttled;

    /** In words: Android's thermal status, "none", "light", "moderate", … */
    public String throttling = "";

    public Double batteryPercent;
    public Boolean charging;

    /** As `edgekd.device/1` has it; what only phones know is left out where it is not known. */
    Map<String, Object> toJson() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("load_1min", Json.finite(loadOneMinute));
        found.put("frequency_mhz", Json.finite(frequencyMhz));
        found.put("temperature_c", Json.finite(temperatureC));
        found.put("throttled", throttled);
        found.put("throttling", throttling == null ? "" : throttling);
        if (Json.finite(batteryPercent) != null) {
            found.put("battery_percent", batteryPercent);
        }
        if (charging != null) {
            found.put("charging", charging);
        }
        return found;
    }
}
