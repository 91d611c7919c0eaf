package org.edgekd.core;

/** `count` of `of` images, and the exact 95 % interval of the share (Clopper and Pearson, 1934). */
public final class Proportion {
    private static final double TAIL = 0.025;
    private static final int STEPS = 60; // a bisection to the last digit of a double

    public final int count;
    public final int of;
    public final double low;
    public final double high;

    public Proportion(int count, int of) {
        if (count < 0 || count > of || of < 1) {
            throw new IllegalArgumentException(count + " of " + of);
        }
        this.count = count;
        this.of = of;
        low = count == 0 ? 0 : 1 - bound(of - count, of);
        high = count == of ? 1 : bound(count, of);
    }

    public double share() {
        return (double) count / of;
    }

    /** The p for which at most `count` of `of` have a probability of TAIL. */
    private static double bound(int count, int of) {
        double[] ways = new double[count + 1]; // log of the binomial coefficients
        for (int i = 1; i <= count; i++) {
            ways[i] = ways[i - 1] + StrictMath.log((double) (of - i + 1) / i);
        }
        double low = 0;
        double high = 1;
        for (int step = 0; step < STEPS; step++) {
            double p = (low + high) / 2;
            double sum = 0;
            for (int i = 0; i <= count; i++) {
                sum += StrictMath.exp(ways[i] + i * StrictMath.log(p) + (of - i) * StrictMath.log1p(-p));
            }
            if (sum > TAIL) {
                low = p;
            } else {
                high = p;
            }
        }
        return (low + high) / 2;
    }
}
