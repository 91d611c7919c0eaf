package org.edgekd.demo;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Test images of `make_images.py`, and what Python's reference makes of them. */
final class Resources {
    private static final Path FOLDER = Paths.get(System.getProperty("edgekd.demo"), "app/src/test/resources");

    private Resources() {}

    /** An image that must decode. */
    static final class Expected {
        final String name;
        final int width;
        final int height;
        final String sha256;

        private Expected(String[] words) {
            name = words[0];
            width = Integer.parseInt(words[1]);
            height = Integer.parseInt(words[2]);
            sha256 = words[3];
        }
    }

    static List<Expected> good() throws IOException {
        List<Expected> found = new ArrayList<>();
        for (String line : Files.readAllLines(FOLDER.resolve("images.txt"), StandardCharsets.UTF_8)) {
            found.add(new Expected(line.split(" ")));
        }
        return found;
    }

    /** Names of the images that must be refused. */
    static List<String> bad() throws IOException {
        List<String> good = new ArrayList<>();
        for (Expected each : good()) {
            good.add(each.name);
        }
        try (Stream<Path> all = Files.list(FOLDER.resolve("images"))) {
            return all.map(path -> path.getFileName().toString())
                    .filter(name -> !good.contains(name))
                    .sorted()
                    .collect(Collectors.toList());
        }
    }

    static byte[] image(String name) throws IOException {
        return Files.readAllBytes(FOLDER.resolve("images").resolve(name));
    }
}
