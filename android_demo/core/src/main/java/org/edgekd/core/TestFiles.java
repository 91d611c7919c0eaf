package org.edgekd.core;

import java.util.Collections;
import java.util.List;

/** Image files of some test images, to be answered from the file on too, as an app would. */
public final class TestFiles {
    private static final int MOST = 1000;

    /** A job without any. */
    static final TestFiles NONE = new TestFiles();

    public final List<String> images;

    /** sha256 of each image's decoded RGB bytes, as of golden images. */
    public final List<String> decodedSha256;

    private final int[] rows;

    private TestFiles() {
        images = Collections.emptyList();
        decodedSha256 = Collections.emptyList();
        rows = new int[0];
    }

    private TestFiles(Fields found) throws BadJson {
        images = found.texts("images", 1, MOST);
        decodedSha256 = found.hashes("decoded_sha256", images.size());
        rows = found.wholes("rows", images.size(), 0, Integer.MAX_VALUE);
        if (rows.length != images.size()) {
            throw new BadJson("job.test.files: expected a row for each of " + images.size() + " images");
        }
    }

    static TestFiles read(Fields found) throws BadJson {
        return new TestFiles(found);
    }

    /** The row of the job's test pixels that an image has to give. */
    public int row(int image) {
        return rows[image];
    }
}
