package org.edgekd.core;

import java.util.LinkedHashMap;
import java.util.Map;

/** The state of the device at one moment, to be filled in; null for what it does not say. */
public final class Conditions {
    private static final double COOL = 0.7; // of the headroom: nine degrees below where it slows down severely

    public Double loadOneMinute;

    /** Highest of the cores at this moment. */
    public Double frequencyMhz;

    public Double temperatureC;
    public Boolean throttled;

    /** In words: Android's thermal status, "none", "light", "moderate", … */
    public String throttling = "";

    /**
     * Android's thermal headroom: 1 is where the device slows down severely, 0 is 30 degrees below; heat of the surface,
     * which rises slowly.
     */
    public Double thermalHeadroom;

    public Double batteryTemperatureC;
    public Double batteryPercent;
    public Boolean charging;

    /** Whether heat slows the device down, or soon would, as far as it tells. */
    boolean isWarm() {
        boolean isCalm = throttling == null || throttling.isEmpty() || throttling.equals("none");
        boolean isNear = Json.finite(thermalHeadroom) != null && thermalHeadroom > COOL;
        return !isCalm || isNear || Boolean.TRUE.equals(throttled);
    }

    /** As `edgekd.device/1` has it; what only phones know is left out where it is not known. */
    Map<String, Object> toJson() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("load_1min", Json.finite(loadOneMinute));
        found.put("frequency_mhz", Json.finite(frequencyMhz));
        found.put("temperature_c", Json.finite(temperatureC));
        found.put("throttled", throttled);
        found.put("throttling", throttling == null ? "" : throttling);
        putHeat(found);
        if (Json.finite(batteryPercent) != null) {
            found.put("battery_percent", batteryPercent);
        }
        if (charging != null) {
            found.put("charging", charging);
        }
        return found;
    }

    /** What tells of slow heat, where it is known. */
    void putHeat(Map<String, Object> found) {
        if (Json.finite(thermalHeadroom) != null) {
            found.put("thermal_headroom", thermalHeadroom);
        }
        if (Json.finite(batteryTemperatureC) != null) {
            found.put("battery_temperature_c", batteryTemperatureC);
        }
    }
}
