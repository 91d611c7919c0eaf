package org.edgekd.bionic;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.edgekd.core.Engine;
import org.edgekd.core.EngineException;
import org.edgekd.demo.TfliteEngine;

/** {@code Answers MODEL INPUTS OUTPUTS [built-in]}: the tensors in a file through the app's engine, on a plain JVM. */
public final class Answers {
    private Answers() {}

    /** Prints the runtime's name, version and delegate, tab between them. */
    public static void main(String[] arguments) throws IOException, EngineException {
        PhoneLibrary.load();
        boolean xnnpack = arguments.length < 4;
        byte[] inputs = Files.readAllBytes(Paths.get(arguments[1]));
        try (Engine engine = TfliteEngine.FACTORY.open(direct(Files.readAllBytes(Paths.get(arguments[0]))), 1, xnnpack)) {
            System.out.println(engine.name() + "\t" + engine.version() + "\t" + engine.delegate());
            write(engine, inputs, Paths.get(arguments[2]));
        }
    }

    private static void write(Engine engine, byte[] inputs, Path path) throws IOException, EngineException {
        ByteBuffer in = direct(new byte[engine.inputBytes()]);
        ByteBuffer out = direct(new byte[engine.outputBytes()]);
        byte[] answer = new byte[engine.outputBytes()];
        try (OutputStream file = Files.newOutputStream(path)) {
            for (int at = 0; at < inputs.length; at += engine.inputBytes()) {
                in.clear();
                in.put(inputs, at, engine.inputBytes());
                engine.run(in, out);
                out.rewind();
                out.get(answer);
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
