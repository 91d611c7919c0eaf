package org.edgekd.demo;

import android.content.Context;
import android.view.ViewGroup;
import org.edgekd.core.Conditions;
import org.edgekd.core.DeviceReport;
import org.edgekd.core.Statistics;
import org.edgekd.core.SystemFacts;

/** What a benchmark found, as rows of name and value. */
final class ReportRows {
    private final Context context;
    private final Facts facts;

    ReportRows(Context context, ViewGroup parent) {
        this.context = context;
        facts = new Facts(context, parent);
    }

    /** The one number: the median, "" where nothing was timed. */
    static String headline(Context context, DeviceReport report) {
        if (report.hasFailed() || !report.isTimed()) {
            return "";
        }
        String median = Numbers.number(Statistics.median(report.inferenceMs));
        return context.getString(R.string.headline, context.getString(R.string.milliseconds, median));
    }

    void show(DeviceReport report) {
        facts.clear();
        if (!report.hasFailed()) {
            if (report.isTimed()) {
                speed(report);
                memory(report);
                conditions(report);
            }
            runtime(report);
        }
        device(report.system);
    }

    private void speed(DeviceReport report) {
        Statistics inference = Statistics.of(report.inferenceMs);
        facts.section(R.string.section_speed);
        facts.row(R.string.percentiles, pair(ms(inference.p90), ms(inference.p99)));
        facts.row(R.string.runs, context.getString(R.string.runs_value, inference.count, report.warmupRuns));
        String ran = report.threadsRan == null ? text(R.string.unknown) : String.valueOf(report.threadsRan);
        facts.row(R.string.threads, context.getString(R.string.threads_value, ran, report.threadsAsked));
        double cold = report.importMs + report.loadMs + report.firstMs;
        facts.row(R.string.cold_start, ms(cold));
        facts.row(R.string.cold_start_parts,
                context.getString(R.string.three, ms(report.importMs), ms(report.loadMs), ms(report.firstMs)));
        facts.row(R.string.stages, pair(ms(Statistics.median(report.decodeMs)), ms(Statistics.median(report.preprocessMs))));
    }

    private void memory(DeviceReport report) {
        facts.section(R.string.section_memory);
        facts.row(R.string.pss, pair(mib(report.pssBeforeMib), mib(report.pssAfterMib)));
        facts.row(R.string.rss, pair(mib(report.bareRssMib), mib(report.peakRssMib)));
    }

    private void conditions(DeviceReport report) {
        facts.section(R.string.section_conditions);
        facts.row(R.string.thermal, pair(heat(report.before), heat(report.after)));
        facts.row(R.string.battery, pair(battery(report.before), battery(report.after)));
        if (report.after.charging != null) {
            facts.row(R.string.power, text(report.after.charging ? R.string.charging : R.string.not_charging));
        }
    }

    private void runtime(DeviceReport report) {
        facts.section(R.string.section_runtime);
        facts.row(R.string.runtime, report.runtimeName + " " + report.runtimeVersion);
        facts.row(R.string.kernels, report.delegate);
        if (report.probs != null) {
            facts.row(R.string.answered, String.valueOf(report.probs.size()));
        }
        for (String note : report.notes) {
            facts.row(R.string.note, note);
        }
    }

    private void device(SystemFacts system) {
        facts.section(R.string.section_device);
        facts.row(R.string.model_name, system.model);
        facts.row(R.string.processor, system.cpu);
        facts.row(R.string.cores, String.valueOf(system.cores));
        facts.row(R.string.system, system.system);
    }

    private String heat(Conditions now) {
        return now.throttling.isEmpty() ? text(R.string.unknown) : now.throttling;
    }

    private String battery(Conditions now) {
        return now.batteryPercent == null ? text(R.string.unknown) : Numbers.percent(now.batteryPercent / 100);
    }

    private String ms(double value) {
        return context.getString(R.string.milliseconds, Numbers.number(value));
    }

    private String mib(Double value) {
        return value == null ? text(R.string.unknown) : context.getString(R.string.mebibytes, Numbers.number(value));
    }

    private String pair(String first, String second) {
        return context.getString(R.string.pair, first, second);
    }

    private String text(int id) {
        return context.getString(id);
    }
}
