import java.io.File;
import java.io.FileInputStream;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.Set;
import org.codehaus.mojo.animal_sniffer.SignatureChecker;
import org.codehaus.mojo.animal_sniffer.logging.Logger;

/**
 * Lists what compiled classes call that is not among the signatures of an Android release; exit code 1 if there is any.
 *
 * <p>Methods and classes with {@code @TargetApi} are left out: they run behind a check of the release only.
 */
public final class ApiGuard {
    private ApiGuard() {}

    /** Arguments: file of signatures; packages of the app, comma between them; folder of class files. */
    public static void main(String[] arguments) throws Exception {
        Set<String> own = new HashSet<>(Arrays.asList(arguments[1].split(",")));
        try (InputStream signatures = new FileInputStream(arguments[0])) {
            SignatureChecker checker = new SignatureChecker(signatures, own, new Lines());
            checker.setAnnotationTypes(Collections.singleton("android.annotation.TargetApi"));
            checker.setSourcePath(Collections.<File>emptyList());
            checker.process(new File(arguments[2]));
            System.exit(checker.isSignatureBroken() ? 1 : 0);
        }
    }

    private static final class Lines implements Logger {
        @Override
        public void info(String message) {}

        @Override
        public void info(String message, Throwable cause) {}

        @Override
        public void debug(String message) {}

        @Override
        public void debug(String message, Throwable cause) {}

        @Override
        public void warn(String message) {
            System.out.println(message);
        }

        @Override
        public void warn(String message, Throwable cause) {
            System.out.println(message);
        }

        @Override
        public void error(String message) {
            System.out.println(message);
        }

        @Override
        public void error(String message, Throwable cause) {
            System.out.println(message + ": " + cause);
        }
    }
}
