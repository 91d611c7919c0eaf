package org.edgekd.core;

/** How an image becomes the network's input; `mean` and `std` are per channel, in units of pixel / 255, for information. */
public final class InputContract {
    /** Side of the square input in px. */
    public final int size;

    /** True: the short side is resized and the middle cut out. False: the image is squashed to a square. */
    public final boolean isCrop;

    public final double cropFraction;
    public final Kernel kernel;
    private final double[] mean;
    private final double[] std;

    public InputContract(int size, boolean isCrop, double cropFraction, Kernel kernel, double[] mean, double[] std) {
        this.size = size;
        this.isCrop = isCrop;
        this.cropFraction = cropFraction;
        this.kernel = kernel;
        this.mean = mean.clone();
        this.std = std.clone();
    }

    /** Reads the object that manifests, jobs and model.json hold under "input". */
    public static InputContract read(Fields found) throws BadJson {
        int size = (int) found.whole("size", 1, 1024);
        boolean isCrop = found.oneOf("fit", "squash", "crop").equals("crop");
        boolean isCubic = found.oneOf("kernel", "bilinear", "bicubic").equals("bicubic");
        found.oneOf("colour", "RGB");
        found.oneOf("layout", "NHWC");
        double[] mean = found.numbers("mean", 3, -1e6, 1e6);
        double[] std = found.numbers("std", 3, Double.MIN_VALUE, 1e6);
        double fraction = found.number("crop_fraction", 1e-3, 1);
        return new InputContract(size, isCrop, fraction, isCubic ? Kernel.BICUBIC : Kernel.BILINEAR, mean, std);
    }

    /** The pixel (R, G, B) that normalization makes 0: grey to the network. */
    public byte[] neutral() {
        byte[] pixel = new byte[3];
        for (int c = 0; c < 3; c++) {
            pixel[c] = (byte) Math.max(0, Math.min(255, Math.round(mean[c] * 255)));
        }
        return pixel;
    }

    public double[] mean() {
        return mean.clone();
    }

    public double[] std() {
        return std.clone();
    }
}
