package org.edgekd.demo;

import android.content.Context;
import android.view.LayoutInflater;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;

/** Rows of name and value below headings; each row is read out as one. */
final class Facts {
    private final Context context;
    private final ViewGroup parent;

    Facts(Context context, ViewGroup parent) {
        this.context = context;
        this.parent = parent;
    }

    void clear() {
        parent.removeAllViews();
    }

    void section(int name) {
        TextView view = (TextView) LayoutInflater.from(context).inflate(R.layout.fact_section, parent, false);
        view.setText(name);
        parent.addView(view);
    }

    void row(int name, String value) {
        row(context.getString(name), value);
    }

    void row(String name, String value) {
        View row = LayoutInflater.from(context).inflate(R.layout.fact_row, parent, false);
        String shown = value.isEmpty() ? context.getString(R.string.unknown) : value;
        ((TextView) row.findViewById(R.id.name)).setText(name);
        ((TextView) row.findViewById(R.id.value)).setText(shown);
        row.setContentDescription(context.getString(R.string.probability_description, name, shown));
        parent.addView(row);
    }
}
