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

/** Lends what is being shared, a report, an answer's picture or the field log, to the app that it is shared with, for reading only. */
public final class ReportProvider extends ContentProvider {
    private static final String AUTHORITY = "org.edgekd.demo.reports";
    private static final String[] COLUMNS = {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE};

    static Uri uri(File file) {
        return new Uri.Builder().scheme("content").authority(AUTHORITY).appendPath(file.getName()).build();
    }

    /** The file that a Uri names: a plain name, which tells the folder. */
    private File file(Uri uri) throws FileNotFoundException {
        String name = uri.getPathSegments().size() == 1 ? uri.getLastPathSegment() : "";
        if (name != null && SharedFile.isName(name)) {
            return new File(SharedFile.folder(getContext()), name);
        }
        if (name == null || !ReportFile.isName(name)) {
            throw new FileNotFoundException("nothing shared of the name " + name);
        }
        return new File(ReportFile.folder(getContext().getFilesDir()), name);
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        if (!mode.equals("r")) {
            throw new FileNotFoundException("files are lent for reading");
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
        String name = String.valueOf(uri.getLastPathSegment());
        return SharedFile.isName(name) ? SharedFile.type(name) : "application/json";
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
