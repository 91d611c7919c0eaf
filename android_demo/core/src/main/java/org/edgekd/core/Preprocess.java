package org.edgekd.core;

/** From an image to the network's pixels, equal to the byte to edgekd's reference in Python (edgekd.preprocess). */
public final class Preprocess {
    private Preprocess() {}

    /**
     * Pixels [S, S, 3] uint8 of an image, by Pillow's antialiased resize.
     *
     * <p>Squash resizes to S x S whatever the shape. Crop resizes to short x long with short = floor(S / cropFraction +
     * 1/2) and long = floor(short * longer / shorter + 1/2), and cuts S x S from the middle.
     *
     * @throws BadImage if a long thin image would have more than {@link Rgb#MAX_PIXELS} on the way
     */
    public static byte[] pixels(Rgb image, InputContract contract) throws BadImage {
        int size = contract.size;
        if (!contract.isCrop) {
            return Resize.resize(image, size, size, contract.kernel).data;
        }
        int[] full = fullSize(image.width, image.height, contract);
        int left = (full[0] - size) / 2;
        int top = (full[1] - size) / 2;
        return Resize.window(image, full[0], full[1], contract.kernel, left, top, size, size).data;
    }

    /**
     * The part of an image that the network sees, as {left, top, right, bottom} in px of the image: where to draw a heat
     * map of the input.
     */
    public static double[] seen(int width, int height, InputContract contract) throws BadImage {
        if (!contract.isCrop) {
            return new double[] {0, 0, width, height};
        }
        int[] full = fullSize(width, height, contract);
        double x = (double) width / full[0];
        double y = (double) height / full[1];
        int left = (full[0] - contract.size) / 2;
        int top = (full[1] - contract.size) / 2;
        return new double[] {left * x, top * y, (left + contract.size) * x, (top + contract.size) * y};
    }

    /** Width and height of the resized image that the middle is cut from. */
    private static int[] fullSize(int width, int height, InputContract contract) throws BadImage {
        long shortSide = (long) (contract.size / contract.cropFraction + 0.5);
        long shorter = Math.min(width, height);
        long w = (2 * width * shortSide + shorter) / (2 * shorter);
        long h = (2 * height * shortSide + shorter) / (2 * shorter);
        if (w * h > Rgb.MAX_PIXELS) {
            throw new BadImage("An image of " + width + " x " + height + " px is too long and thin for this model.");
        }
        return new int[] {(int) w, (int) h};
    }
}
