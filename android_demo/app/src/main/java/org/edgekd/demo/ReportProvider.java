package org.edgekd.demo;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;
import java.io.File;
import java.io.FileNotFoundException;

/** Lends a report that is being shared to the app that it is shared with, for reading only. */
public final class ReportProvider extends ContentProvider {
    private static final String AUTHORITY = "org.edgekd.demo.reports";
    private static final String[] COLUMNS = {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE};

    static Uri uri(File report) {
        return new Uri.Builder().scheme("content").authority(AUTHORITY).appendPath(report.getName()).build();
    }

    /** The report that a Uri names: a plain file name in the folder of reports. */
    private File file(Uri uri) throws FileNotFoundException {
        String name = uri.getPathSegments().size() == 1 ? uri.getLastPathSegment() : "";
        if (name == null || !ReportFile.isName(name)) {
            throw new FileNotFoundException("no report " + name);
        }
        return new File(ReportFile.folder(getContext().getFilesDir()), name);
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        if (!mode.equals("r")) {
            throw new FileNotFoundException("reports are lent for reading");
        }
        return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.MODE_READ_ONLY);
    }

    @Override
    public Cursor query(Uri uri, String[] columns, String selection, String[] arguments, String order) {
        MatrixCursor found = new MatrixCursor(columns == null ? COLUMNS : columns);
        try {
            File file = file(uri);
            MatrixCursor.RowBuilder row = found.newRow();
            for (String column : found.getColumnNames()) {
                if (column.equals(OpenableColumns.DISPLAY_NAME)) {
                    row.add(file.getName());
                } else {
                    row.add(column.equals(OpenableColumns.SIZE) ? file.length() : null);
                }
            }
        } catch (FileNotFoundException e) {
            // then there are no rows
        }
        return found;
    }

    @Override
    public String getType(Uri uri) {
        return "application/json";
    }

    @Override
    public boolean onCreate() {
        return true;
    }

    @Override
    public Uri insert(Uri uri, ContentValues values) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int delete(Uri uri, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int update(Uri uri, ContentValues values, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }
}
