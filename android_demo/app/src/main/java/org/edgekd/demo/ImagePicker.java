package org.edgekd.demo;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.provider.MediaStore;

/** Asks the system for an image: its photo picker, or that for documents where there is none. Neither needs a permission. */
final class ImagePicker {
    private ImagePicker() {}

    /**
     * Opens a picker, whose result has the image's Uri.
     *
     * @return false if this device has none
     */
    static boolean open(Activity activity, int request) {
        Intent photos = new Intent(MediaStore.ACTION_PICK_IMAGES).setType("image/*"); // Android 13; by updates, 11
        Intent documents = new Intent(Intent.ACTION_OPEN_DOCUMENT)
                .addCategory(Intent.CATEGORY_OPENABLE)
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
}
