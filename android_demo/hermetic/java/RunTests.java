import java.io.PrintStream;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Result;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/** Runs JUnit 4 classes and prints one line per test: {@code passed CLASS.METHOD} and so on; exit code 1 if any failed. */
public final class RunTests {
    private RunTests() {}

    /** Arguments: names of classes. */
    public static void main(String[] names) throws Exception {
        PrintStream out = System.out;
        Class<?>[] classes = new Class<?>[names.length];
        for (int i = 0; i < names.length; i++) {
            classes[i] = Class.forName(names[i]);
        }
        JUnitCore runner = new JUnitCore();
        Lines lines = new Lines(out);
        runner.addListener(lines);
        Result result = runner.run(classes);
        int passed = result.getRunCount() - result.getFailureCount() - lines.assumed;
        int skipped = result.getIgnoreCount() + lines.assumed;
        out.println(passed + " passed, " + result.getFailureCount() + " failed, " + skipped + " skipped");
        out.flush();
        System.exit(result.wasSuccessful() && result.getRunCount() > 0 ? 0 : 1); // threads of the tests must not hold it
    }

    private static final class Lines extends RunListener {
        private final PrintStream out;
        private boolean isOver;
        int assumed;

        Lines(PrintStream out) {
            this.out = out;
        }

        @Override
        public void testStarted(Description test) {
            isOver = false;
        }

        @Override
        public void testFailure(Failure failure) {
            isOver = true;
            out.println("failed " + name(failure.getDescription()) + "\n" + failure.getTrace());
        }

        @Override
        public void testAssumptionFailure(Failure failure) {
            isOver = true;
            assumed++;
            out.println("skipped " + name(failure.getDescription()) + ": " + failure.getMessage());
        }

        @Override
        public void testIgnored(Description test) {
            out.println("skipped " + name(test) + ": ignored");
        }

        @Override
        public void testFinished(Description test) {
            if (!isOver) {
                out.println("passed " + name(test));
            }
        }

        private static String name(Description test) {
            return test.getClassName() + (test.getMethodName() == null ? "" : "." + test.getMethodName());
        }
    }
}
