package org.edgekd.demo;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.ClipData;
import android.content.Intent;
import android.net.Uri;
import android.provider.MediaStore;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Asks the system for images: its photo picker, or that for documents where there is none. Neither needs a permission. */
final class ImagePicker {
    private ImagePicker() {}

    /**
     * Opens a picker, whose result {@link #uris} reads.
     *
     * @return false if this device has none
     */
    static boolean open(Activity activity, int request) {
        Intent photos = new Intent(MediaStore.ACTION_PICK_IMAGES) // Android 13; by updates, 11
                .putExtra(MediaStore.EXTRA_PICK_IMAGES_MAX, BatchSession.MOST)
                .setType("image/*");
        Intent documents = new Intent(Intent.ACTION_OPEN_DOCUMENT)
                .addCategory(Intent.CATEGORY_OPENABLE)
                .putExtra(Intent.EXTRA_ALLOW_MULTIPLE, true)
                .setType("image/*");
        for (Intent intent : new Intent[] {photos, documents}) {
            try {
                activity.startActivityForResult(intent, request);
                return true;
            } catch (ActivityNotFoundException e) {
                // the next
            }
        }
        return false;
    }

    /** What was picked, each once, in order. */
    static List<Uri> uris(Intent result) {
        Set<Uri> found = new LinkedHashSet<>();
        ClipData several = result.getClipData();
        for (int i = 0; several != null && i < several.getItemCount(); i++) {
            found.add(several.getItemAt(i).getUri());
        }
        found.add(result.getData());
        found.remove(null);
        return new ArrayList<>(found);
    }
}
