/**
 * The demo without Android: pixels, tensors, the model's description, jobs and their measurement.
 *
 * <p>Pure Java 8 with nothing but what Android has since API 26, so that all of it is tested on a plain JVM. Images are
 * RGB of 8 bits, row by row. Times are in milliseconds, memory in MiB. What comes from outside (an image, a model, a job)
 * is hostile: it ends in one of the checked exceptions of this package, each with a message for a person.
 */
package org.edgekd.core;
