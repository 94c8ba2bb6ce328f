import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.Arrays;
import java.util.Enumeration;

/**
 * Starts Beam's Flink job server with its jars where Beam does not see them: it would send every jar of its class path to the
 * cluster with each job, some 150 MB that the TaskManagers have already. It must be the system class loader, since Flink reads
 * what a cluster reports with that one:
 *
 * <pre>java -cp launcher.jar -Djava.system.class.loader=Launcher -Dlauncher.first=JAR -Dlauncher.jars=FOLDER Launcher [the driver's arguments]</pre>
 */
public final class Launcher extends ClassLoader {
  private final URLClassLoader shelf; // for its resources alone

  public Launcher(ClassLoader parent) throws MalformedURLException {
    super(parent);
    File[] jars = new File(System.getProperty("launcher.jars")).listFiles((dir, name) -> name.endsWith(".jar"));
    Arrays.sort(jars);
    URL[] urls = new URL[jars.length + 1];
    urls[0] = new File(System.getProperty("launcher.first")).toURI().toURL();
    for (int i = 0; i < jars.length; i++) {
      urls[i + 1] = jars[i].toURI().toURL();
    }
    shelf = new URLClassLoader(urls, null);
  }

  @Override
  protected Class<?> findClass(String name) throws ClassNotFoundException {
    URL url = findResource(name.replace('.', '/') + ".class");
    if (url == null) {
      throw new ClassNotFoundException(name);
    }
    try (InputStream in = url.openStream()) {
      byte[] code = in.readAllBytes();
      return defineClass(name, code, 0, code.length);
    } catch (IOException e) {
      throw new ClassNotFoundException(name, e);
    }
  }

  @Override
  protected URL findResource(String name) {
    return shelf.findResource(name);
  }

  @Override
  protected Enumeration<URL> findResources(String name) throws IOException {
    return shelf.findResources(name);
  }

  public static void main(String[] args) throws Exception {
    ClassLoader loader = ClassLoader.getSystemClassLoader();
    Thread.currentThread().setContextClassLoader(loader);
    loader.loadClass("org.apache.beam.runners.flink.FlinkJobServerDriver").getMethod("main", String[].class).invoke(null, (Object) args);
  }
}
