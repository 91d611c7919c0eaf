package org.edgekd.bionic;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Map;
import org.edgekd.core.Engine;
import org.edgekd.core.EngineException;
import org.edgekd.core.Linux;
import org.edgekd.demo.TfliteEngine;

/**
 * {@code Answers MODEL INPUTS OUTPUTS THREADS [built-in|heatmap]}: the tensors in a file through the app's engine, on a
 * plain JVM; what is written is the answers, or with {@code heatmap} the heat maps.
 */
public final class Answers {
    private Answers() {}

    /** Prints the runtime's name, version and delegate, and how many threads worked, tab between them. */
    public static void main(String[] arguments) throws IOException, EngineException {
        PhoneLibrary.load();
        String wish = arguments.length < 5 ? "" : arguments[4];
        int threads = Integer.parseInt(arguments[3]);
        ByteBuffer model = direct(Files.readAllBytes(Paths.get(arguments[0])));
        byte[] inputs = Files.readAllBytes(Paths.get(arguments[1]));
        try (Engine engine = TfliteEngine.FACTORY.open(model, threads, !wish.equals("built-in"))) {
            Map<String, Double> before = Linux.threadSeconds();
            write(engine, inputs, Paths.get(arguments[2]), wish.equals("heatmap"));
            Integer ran = Linux.busyThreads(before, Linux.threadSeconds());
            System.out.println(String.join("\t", engine.name(), engine.version(), engine.delegate(), "" + ran));
        }
    }

    private static void write(Engine engine, byte[] inputs, Path path, boolean isMap)
            throws IOException, EngineException {
        ByteBuffer in = direct(new byte[engine.inputBytes()]);
        ByteBuffer out = direct(new byte[engine.outputBytes()]);
        ByteBuffer map = direct(new byte[engine.heatmapBytes()]);
        ByteBuffer wanted = isMap ? map : out;
        byte[] answer = new byte[wanted.capacity()];
        try (OutputStream file = Files.newOutputStream(path)) {
            for (int at = 0; at < inputs.length; at += engine.inputBytes()) {
                in.clear();
                in.put(inputs, at, engine.inputBytes());
                engine.run(in, out);
                if (isMap) {
                    engine.readHeatmap(map);
                }
                wanted.rewind();
                wanted.get(answer);
                file.write(answer);
            }
        }
    }

    private static ByteBuffer direct(byte[] content) {
        ByteBuffer found = ByteBuffer.allocateDirect(content.length).order(ByteOrder.nativeOrder());
        found.put(content).rewind();
        return found;
    }
}
