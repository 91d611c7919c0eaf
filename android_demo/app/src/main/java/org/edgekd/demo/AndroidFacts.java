package org.edgekd.demo;

import android.annotation.TargetApi;
import android.app.ActivityManager;
import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.content.pm.PackageManager;
import android.os.BatteryManager;
import android.os.Build;
import android.os.Debug;
import android.os.PowerManager;
import org.edgekd.core.Conditions;
import org.edgekd.core.DeviceFacts;
import org.edgekd.core.Linux;
import org.edgekd.core.SystemFacts;

/** What Android and its kernel tell an app without permissions. */
final class AndroidFacts implements DeviceFacts {
    private static final String[] THERMAL =
            {"none", "light", "moderate", "severe", "critical", "emergency", "shutdown"}; // by PowerManager's status
    private static final double MIB = 1 << 20;

    private final Context context;

    AndroidFacts(Context context) {
        this.context = context.getApplicationContext();
    }

    @Override
    public SystemFacts system() {
        SystemFacts facts = new SystemFacts();
        String machine = System.getProperty("os.arch", "");
        facts.machine = machine.equals("amd64") ? "x86_64" : machine;
        facts.system = "Android " + Build.VERSION.RELEASE;
        facts.model = both(Build.MANUFACTURER, Build.MODEL);
        facts.cpu = Build.VERSION.SDK_INT >= Build.VERSION_CODES.S ? chip() : Build.HARDWARE;
        facts.cores = Runtime.getRuntime().availableProcessors();
        facts.cpuFeatures.addAll(Linux.cpuFeatures());
        facts.governor = Linux.governor();
        facts.maxFrequencyMhz = Linux.maxFrequencyMhz();
        facts.memoryMib = memoryMib();
        facts.software.put("app", version());
        return facts;
    }

    @TargetApi(Build.VERSION_CODES.S)
    private static String chip() {
        return both(Build.SOC_MANUFACTURER, Build.SOC_MODEL);
    }

    private static String both(String maker, String name) {
        return name.startsWith(maker) ? name : maker + " " + name;
    }

    private Double memoryMib() {
        ActivityManager manager = (ActivityManager) context.getSystemService(Context.ACTIVITY_SERVICE);
        ActivityManager.MemoryInfo memory = new ActivityManager.MemoryInfo();
        manager.getMemoryInfo(memory);
        return memory.totalMem > 0 ? (Double) (memory.totalMem / MIB) : Linux.memoryMib();
    }

    private String version() {
        try {
            return context.getPackageManager().getPackageInfo(context.getPackageName(), 0).versionName;
        } catch (PackageManager.NameNotFoundException e) {
            throw new IllegalStateException(e); // it is this very app
        }
    }

    @Override
    public Conditions conditions() {
        Conditions now = new Conditions();
        now.loadOneMinute = Linux.loadOneMinute();
        now.frequencyMhz = Linux.frequencyMhz();
        now.temperatureC = Linux.temperatureC();
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) {
            int status = thermalStatus();
            now.throttled = status >= PowerManager.THERMAL_STATUS_MODERATE;
            now.throttling = status >= 0 && status < THERMAL.length ? THERMAL[status] : "status " + status;
        }
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            float headroom = headroom();
            now.thermalHeadroom = Float.isNaN(headroom) ? null : (Double) (double) headroom;
        }
        now.batteryTemperatureC = batteryTemperature();
        BatteryManager battery = (BatteryManager) context.getSystemService(Context.BATTERY_SERVICE);
        int percent = battery.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY);
        now.batteryPercent = percent >= 0 && percent <= 100 ? (Double) (double) percent : null;
        now.charging = battery.isCharging();
        return now;
    }

    @TargetApi(Build.VERSION_CODES.Q)
    private int thermalStatus() {
        return ((PowerManager) context.getSystemService(Context.POWER_SERVICE)).getCurrentThermalStatus();
    }

    @TargetApi(Build.VERSION_CODES.R)
    private float headroom() {
        return ((PowerManager) context.getSystemService(Context.POWER_SERVICE)).getThermalHeadroom(0);
    }

    /** Of the last change that Android told, in tenths there; null where it tells none. */
    private Double batteryTemperature() {
        Intent told = context.registerReceiver(null, new IntentFilter(Intent.ACTION_BATTERY_CHANGED));
        int tenths = told == null ? 0 : told.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, 0);
        return tenths == 0 ? null : (Double) (tenths / 10.0);
    }

    @Override
    public Double pssMib() {
        long kib = Debug.getPss();
        return kib > 0 ? (Double) (kib / 1024.0) : null;
    }
}
