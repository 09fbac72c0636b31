import java.io.FileInputStream;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/** What a program is told, and what it says: one line for each thing done, which must not depend on the way. */
final class Said {
    static Properties properties(String file, Map<String, String> more) throws Exception {
        Properties properties = new Properties();
        try (FileInputStream stream = new FileInputStream(file)) {
            properties.load(stream);
        }
        properties.putAll(more);
        return properties;
    }

    /** Does it, and says what came of it: a value, or the simple name of what was thrown. */
    static void line(String what, Callable<Object> does) throws Exception {
        String outcome;
        try {
            outcome = String.valueOf(does.call());
        } catch (ExecutionException wrapped) {
            outcome = wrapped.getCause().getClass().getSimpleName();
        } catch (Exception thrown) {
            outcome = thrown.getClass().getSimpleName();
        }
        System.out.println(what + ": " + outcome);
    }

    private Said() {}
}
