package pipelinesecrets;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import nextflow.Session;
import nextflow.cloud.aws.batch.model.RegisterJobDefinitionModel;
import nextflow.processor.TaskArrayRun;
import nextflow.processor.TaskConfig;
import nextflow.processor.TaskRun;

/** Checks the job definitions of tasks. Prints a line for each test; the first failure ends it. */
public class SecretsTest {
  private static final String ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:run-1";
  private static final Map<String, Object> RUN = run("run-1");

  public static void main(String[] arguments) {
    test("a task gets each of its secrets once, in the order of the names", () -> {
      TaskRun task = task("image", "B_KEY", "A_KEY", "B_KEY");
      equal(secrets(RUN, task), "[A_KEY=" + ARN + ":A_KEY::, B_KEY=" + ARN + ":B_KEY::]");
    });
    test("a task without secrets is unchanged, with and without the scope", () -> {
      equal(secrets(RUN, task("image")), "null");
      equal(secrets(Map.of(), task("image")), "null");
      equal(tokens(Map.of(), task("image")), "[image]");
    });
    test("an array job gets the secrets of its tasks", () -> {
      equal(secrets(RUN, array(task("image", "A_KEY"), task("image", "A_KEY"))), "[A_KEY=" + ARN + ":A_KEY::]");
      equal(secrets(RUN, array(task("image"))), "null");
    });
    test("a secret that the run does not have is named", () -> {
      fails(RUN, task("image", "Z_KEY", "A_KEY", "C_KEY"), "run run-1 does not have C_KEY, Z_KEY;");
      fails(RUN, array(task("image", "C_KEY")), "run run-1 does not have C_KEY;");
    });
    test("without the scope, the message says which config is missing", () -> {
      String reason = "the config has no pipelineSecrets.valueFrom; pass the config that the launch returned";
      fails(Map.of(), task("image", "A_KEY"), reason);
      fails(Map.of("pipelineSecrets", Map.of("workflowId", "run-1")), task("image", "A_KEY"), reason);
    });
    test("hashing tokens contain the names and the ARNs", () -> {
      equal(tokens(RUN, task("image", "B_KEY", "A_KEY")),
          "[image, secret:A_KEY=" + ARN + ":A_KEY::, secret:B_KEY=" + ARN + ":B_KEY::]");
      equal(tokens(RUN, task("image", "A_KEY", "B_KEY")), tokens(RUN, task("image", "B_KEY", "A_KEY")));
      differ(tokens(RUN, task("image", "A_KEY")), tokens(RUN, task("image", "B_KEY")));
      differ(tokens(RUN, task("image", "A_KEY")), tokens(run("run-2"), task("image", "A_KEY")));
    });
    test("a job definition of the user is refused only for a task with secrets", () -> {
      fails(RUN, task("job-definition://mine", "A_KEY"), "(job-definition://mine): set the container to an image");
      fails(RUN, array(task("job-definition://mine", "A_KEY")), "(job-definition://mine): set the container");
      handler(RUN, task("job-definition://mine")).submit();
    });
  }

  private static Map<String, Object> run(String id) {
    String copy = ARN.replace("run-1", id);
    Map<String, String> valueFrom = Map.of("A_KEY", copy + ":A_KEY::", "B_KEY", copy + ":B_KEY::");
    return Map.of("pipelineSecrets", Map.of("workflowId", id, "valueFrom", valueFrom));
  }

  private static TaskRun task(String container, String... secrets) {
    TaskRun task = new TaskRun() {
      @Override
      public String getContainer() {
        return container;
      }
    };
    task.setName("fetch (1)");
    task.setConfig(new TaskConfig(new HashMap<>()));
    if (secrets.length > 0) {
      task.getConfig().put("secret", new ArrayList<>(List.of(secrets)));
    }
    return task;
  }

  private static TaskRun array(TaskRun... tasks) {
    String container = tasks[0].getContainer();
    TaskArrayRun array = new TaskArrayRun() {
      @Override
      public String getContainer() {
        return container;
      }
    };
    array.setName("fetch (1)");
    array.setConfig(new TaskConfig(new HashMap<>()));
    array.setChildren(List.of(tasks).stream().map(task -> handler(RUN, task)).collect(Collectors.toList()));
    return array;
  }

  private static SecretsTaskHandler handler(Map<String, Object> config, TaskRun task) {
    SecretsBatchExecutor executor = new SecretsBatchExecutor();
    executor.setSession(new Session(new HashMap<>(config)));
    return (SecretsTaskHandler) executor.createTaskHandler(task);
  }

  private static String secrets(Map<String, Object> config, TaskRun task) {
    RegisterJobDefinitionModel request = handler(config, task).configJobDefRequest(task, new ArrayList<>());
    var secrets = request.getContainerProperties().getSecrets();
    return secrets == null ? "null" : secrets.stream().map(one -> one.name() + "=" + one.valueFrom()).toList().toString();
  }

  private static String tokens(Map<String, Object> config, TaskRun task) {
    List<Object> tokens = new ArrayList<>();
    handler(config, task).configJobDefRequest(task, tokens);
    return tokens.toString();
  }

  /** The reason must be in a message of one line, before the job is submitted. */
  private static void fails(Map<String, Object> config, TaskRun task, String reason) {
    try {
      handler(config, task).submit();
    } catch (Exception failure) {
      equal(failure.getClass().getSimpleName(), "ProcessUnrecoverableException");
      String message = failure.getMessage();
      equal(message.contains("'fetch (1)'") && message.contains(reason) && !message.contains("\n") ? reason : message, reason);
      return;
    }
    throw new AssertionError("submitted: " + reason);
  }

  private static void equal(String found, String expected) {
    if (!expected.equals(found)) {
      throw new AssertionError("expected " + expected + ", found " + found);
    }
  }

  private static void differ(String one, String two) {
    if (one.equals(two)) {
      throw new AssertionError("equal: " + one);
    }
  }

  private static void test(String name, Runnable test) {
    test.run();
    System.out.println("ok: " + name);
  }
}
