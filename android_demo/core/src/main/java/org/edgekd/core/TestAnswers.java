package org.edgekd.core;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A job's test images, answered: from the tensors that were sent, and some from their files on, as an app would. */
final class TestAnswers {
    private static final int SHOWN = 16; // progress is told of every so many

    private final Job job;
    private final Decoder decoder;
    private final Session session;
    private final Progress progress;
    private final Cancel cancel;
    private final Npy tensors;

    TestAnswers(Job job, Decoder decoder, Session session, Progress progress, Cancel cancel)
            throws CoreException, IOException {
        this.job = job;
        this.decoder = decoder;
        this.session = session;
        this.progress = progress;
        this.cancel = cancel;
        tensors = Npy.of(job.files.map(job.testPixels));
    }

    /** Probabilities [N][K] in the order of the job's indices. */
    List<float[]> toTensors() throws CoreException, Cancelled {
        int[] indices = job.testIndices();
        List<float[]> found = new ArrayList<>(indices.length);
        for (int i = 0; i < indices.length; i++) {
            look(i, indices.length);
            found.add(probs(tensor(indices[i]), indices[i]));
        }
        return found;
    }

    /** For each file the probabilities [K], and which step gave the bytes that it has to give. */
    List<FromFile> toFiles() throws CoreException, IOException, Cancelled {
        int count = job.testFiles.images.size();
        List<FromFile> found = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            look(i, count);
            found.add(toFile(i));
        }
        return found;
    }

    /** A file that cannot be decoded here ends nothing. */
    private FromFile toFile(int image) throws CoreException, IOException {
        String name = job.testFiles.images.get(image);
        int row = job.testFiles.row(image);
        byte[] expected = tensor(row);
        byte[] content = Job.content(job.files, name, GoldenReplay.MOST_BYTES);
        Rgb decoded;
        byte[] pixels;
        try {
            decoded = decoder.decode(content);
            pixels = Preprocess.pixels(decoded, job.input);
        } catch (BadImage e) {
            return new FromFile(BenchmarkRun.shortened(name + ": " + e.getMessage()));
        }
        boolean isEqual = Hash.sha256(decoded.data).equals(job.testFiles.decodedSha256.get(image));
        return new FromFile(isEqual, Arrays.equals(pixels, expected), probs(pixels, row));
    }

    private byte[] tensor(int row) throws BadImage {
        if (row >= tensors.rows || tensors.rowBytes != 3 * job.input.size * job.input.size) {
            throw new BadImage(job.testPixels + " has no image " + row + " of the model's size");
        }
        return tensors.row(row);
    }

    private float[] probs(byte[] pixels, int row) throws EngineException {
        float[] probs = session.probs(pixels);
        for (float p : probs) {
            if (Float.isNaN(p) || Float.isInfinite(p)) {
                throw new EngineException("image " + row + ": probabilities " + Arrays.toString(probs));
            }
        }
        return probs;
    }

    private void look(int done, int of) throws Cancelled {
        if (done % SHOWN == 0) {
            progress.at("answers", done, of);
        }
        if (cancel.isCancelled()) {
            throw new Cancelled();
        }
    }
}
