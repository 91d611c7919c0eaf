package org.edgekd.demo;

import android.app.Activity;
import android.view.View;
import android.view.ViewGroup;
import android.widget.BaseAdapter;
import android.widget.ImageView;
import android.widget.TextView;

/** The rows of a list of images: a small picture, the answer, and how sure it is; or why there is none. */
final class BatchRows extends BaseAdapter {
    private final Activity activity;
    private final BatchSession session;

    BatchRows(Activity activity, BatchSession session) {
        this.activity = activity;
        this.session = session;
    }

    @Override
    public int getCount() {
        return session.rows.size();
    }

    @Override
    public BatchSession.Row getItem(int position) {
        return session.rows.get(position);
    }

    @Override
    public long getItemId(int position) {
        return position;
    }

    @Override
    public View getView(int position, View old, ViewGroup parent) {
        View view = old == null ? activity.getLayoutInflater().inflate(R.layout.batch_row, parent, false) : old;
        BatchSession.Row row = getItem(position);
        String title = title(row);
        String detail = detail(row);
        ((ImageView) view.findViewById(R.id.thumbnail)).setImageBitmap(row.thumbnail);
        TextView shown = view.findViewById(R.id.title);
        shown.setText(title);
        shown.setTextColor(activity.getColor(row.problem.isEmpty() ? R.color.ink : R.color.bad));
        TextView small = view.findViewById(R.id.detail);
        small.setText(detail);
        small.setVisibility(detail.isEmpty() ? View.GONE : View.VISIBLE);
        String number = activity.getString(R.string.image_number, position + 1);
        view.setContentDescription(activity.getString(R.string.row_description, number, title, detail));
        return view;
    }

    private String title(BatchSession.Row row) {
        if (row.result != null) {
            return new AnswerWords(activity, session.model).headline(row.result);
        }
        return activity.getString(row.problem.isEmpty() ? R.string.waiting : R.string.no_answer);
    }

    private String detail(BatchSession.Row row) {
        if (row.result == null) {
            return row.problem;
        }
        boolean isOne = !row.result.isUnsure && row.result.possible().length == 1;
        return isOne ? "" : activity.getString(R.string.most_probable, new AnswerWords(activity, session.model).best(row.result));
    }
}
