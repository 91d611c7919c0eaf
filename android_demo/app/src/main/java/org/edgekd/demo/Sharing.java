package org.edgekd.demo;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.ClipData;
import android.content.Intent;
import android.net.Uri;
import java.io.File;

/** Hands a file to whatever app the person chooses. */
final class Sharing {
    private Sharing() {}

    /**
     * Opens the system's list of apps.
     *
     * @param text goes with the file; "" for none
     * @return false if this device has none to share with
     */
    static boolean open(Activity activity, File file, String title, String text) {
        Uri uri = ReportProvider.uri(file);
        Intent send = new Intent(Intent.ACTION_SEND);
        send.setType(SharedFile.type(file.getName()));
        send.putExtra(Intent.EXTRA_SUBJECT, title);
        send.putExtra(Intent.EXTRA_STREAM, uri);
        send.setClipData(ClipData.newRawUri(title, uri));
        send.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
        if (!text.isEmpty()) {
            send.putExtra(Intent.EXTRA_TEXT, text);
        }
        try {
            activity.startActivity(Intent.createChooser(send, title));
            return true;
        } catch (ActivityNotFoundException e) {
            return false;
        }
    }
}
