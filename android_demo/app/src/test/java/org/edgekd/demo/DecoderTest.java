package org.edgekd.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.edgekd.core.BadImage;
import org.edgekd.core.Hash;
import org.edgekd.core.Rgb;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;

/** Android's decoders against Pillow: the same bytes, or a refusal by both. */
@RunWith(RobolectricTestRunner.class)
public class DecoderTest {
    @Test
    public void decodesAsPillow() throws Exception {
        assertEquals(Collections.emptyList(), different(new AndroidDecoder(true)));
    }

    @Test
    public void olderDecoderTheSame() throws Exception {
        assertEquals(Collections.emptyList(), different(new AndroidDecoder(false)));
    }

    private static List<String> different(AndroidDecoder decoder) throws Exception {
        List<String> different = new ArrayList<>();
        for (Resources.Expected expected : Resources.good()) {
            String found;
            try {
                Rgb image = decoder.decode(Resources.image(expected.name));
                boolean isSize = image.width == expected.width && image.height == expected.height;
                found = isSize ? Hash.sha256(image.data) : image.width + " x " + image.height;
            } catch (BadImage e) {
                found = e.getMessage();
            }
            if (!found.equals(expected.sha256)) {
                different.add(expected.name + ": " + found);
            }
        }
        return different;
    }

    @Test
    public void refusesWhatPillowRefuses() throws Exception {
        assertTrue(Resources.bad().size() > 9);
        for (String name : Resources.bad()) {
            byte[] file = Resources.image(name);
            for (boolean hasImageDecoder : new boolean[] {true, false}) {
                if (name.equals("short.gif") && !hasImageDecoder) {
                    continue; // shows what there is of it
                }
                try {
                    new AndroidDecoder(hasImageDecoder).decode(file);
                    fail(name + " was decoded");
                } catch (BadImage e) {
                    assertTrue(name + ": " + e.getMessage(), e.getMessage().matches("[A-Z].*\\."));
                }
            }
        }
    }

    @Test
    public void tellsWhatIsWrong() throws Exception {
        assertEquals("The file is empty.", refusal("empty.jpg"));
        assertEquals("The image file is damaged or ends too early.", refusal("short.jpg"));
        assertEquals("The image is damaged: a check sum does not fit.", refusal("damaged.png"));
        assertTrue(refusal("text.png"), refusal("text.png").startsWith("This is not an image that the app can read"));
        assertEquals(
                "The image is too large: 11000 x 11000 px are 121.0 million; at most 120.0 million fit here.",
                refusal("121-megapixels.png"));
        assertTrue(refusal("bomb.jpg"), refusal("bomb.jpg").startsWith("The image is too large: 65000 x 65000 px"));
    }

    private static String refusal(String name) throws Exception {
        try {
            new AndroidDecoder().decode(Resources.image(name));
            throw new AssertionError(name + " was decoded");
        } catch (BadImage e) {
            return e.getMessage();
        }
    }

    /** Whatever is cut off or overwritten: an image or a refusal, nothing else. */
    @Test
    public void survivesDamage() throws Exception {
        java.util.Random random = new java.util.Random(1);
        AndroidDecoder decoder = new AndroidDecoder();
        String names = "rgb.png 420.jpg lossless.webp exif-6.jpg deep-grey-interlaced.png animated.gif rgb.bmp"
                + " exif-5.webp xmp-3.png";
        for (String name : names.split(" ")) {
            byte[] file = Resources.image(name);
            for (int i = 0; i < 60; i++) {
                byte[] changed = i % 2 == 0 ? Arrays.copyOf(file, random.nextInt(file.length)) : file.clone();
                for (int k = 0; k < i % 5 && changed.length > 0; k++) {
                    int end = i % 3 == 0 ? Math.min(changed.length, 64) : changed.length;
                    changed[random.nextInt(end)] = (byte) random.nextInt();
                }
                try {
                    decoder.decode(changed);
                } catch (BadImage e) {
                    assertTrue(e.getMessage().length() > 10);
                }
            }
        }
    }
}
