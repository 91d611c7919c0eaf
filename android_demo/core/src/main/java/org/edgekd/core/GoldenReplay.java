package org.edgekd.core;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** The golden vectors of a job, replayed step by step: each has to give what it gave where the model was verified. */
final class GoldenReplay {
    static final int MOST_BYTES = 64 << 20; // of an image file

    private final Job job;
    private final Golden golden;
    private final Decoder decoder;

    /** The images' files and their input tensors, once {@link #input} went through. */
    final List<byte[]> contents = new ArrayList<>();

    final List<byte[]> pixels = new ArrayList<>();

    /** "decode" or "preprocess": where {@link #input} is. */
    String stage = "decode";

    GoldenReplay(Job job, Decoder decoder) {
        this.job = job;
        this.golden = job.golden;
        this.decoder = decoder;
    }

    /** Decodes and preprocesses the images; the first difference is an exception. */
    void input() throws CoreException, IOException {
        Npy expected = golden.pixels.isEmpty() ? null : Npy.of(job.files.map(golden.pixels));
        if (expected != null && expected.rows != golden.images.size()) {
            int images = golden.images.size();
            throw new BadImage(golden.pixels + " has " + expected.rows + " rows for " + images + " images");
        }
        for (int i = 0; i < golden.images.size(); i++) {
            String name = golden.images.get(i);
            stage = "decode";
            byte[] content = Job.content(job.files, name, MOST_BYTES);
            Rgb image = decoder.decode(content);
            if (!Hash.sha256(image.data).equals(golden.decodedSha256.get(i))) {
                throw new BadImage(name + " is decoded to other pixels");
            }
            stage = "preprocess";
            byte[] found = Preprocess.pixels(image, job.input);
            if (expected != null) {
                compare(name, found, expected.row(i));
            } else if (!Hash.sha256(found).equals(golden.pixelsSha256.get(i))) {
                throw new BadImage(name + ": the input tensor differs");
            }
            contents.add(content);
            pixels.add(found);
        }
    }

    private static void compare(String name, byte[] found, byte[] expected) throws BadImage {
        if (Arrays.equals(found, expected)) {
            return;
        }
        int differ = 0;
        for (int i = 0; i < Math.min(found.length, expected.length); i++) {
            differ += found[i] != expected[i] ? 1 : 0;
        }
        double share = found.length == expected.length ? (double) differ / found.length : 1;
        throw new BadImage(String.format(Locale.ROOT, "%s: %.2f%% of the input tensor differs", name, 100 * share));
    }

    /** The largest change of a probability; above the tolerance it is an exception. */
    double output(List<float[]> found) throws CoreException {
        double largest = 0;
        String worst = "";
        for (int i = 0; i < found.size(); i++) {
            double[] expected = golden.probs(i);
            for (int k = 0; k < expected.length; k++) {
                double change = Math.abs(found.get(i)[k] - expected[k]);
                if (Double.isNaN(change) || Double.isInfinite(change)) {
                    throw new EngineException(golden.images.get(i) + ": a probability is not finite");
                }
                worst = change > largest ? golden.images.get(i) : worst;
                largest = Math.max(largest, change);
            }
        }
        if (largest > golden.tolerance) {
            throw new EngineException(String.format(Locale.ROOT,
                    "%s: a probability differs by %.3g (tolerance %.3g)", worst, largest, golden.tolerance));
        }
        return largest;
    }
}
