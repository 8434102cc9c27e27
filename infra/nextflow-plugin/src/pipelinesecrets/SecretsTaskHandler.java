package pipelinesecrets;

import java.util.List;
import java.util.TreeSet;
import nextflow.cloud.aws.batch.AwsBatchExecutor;
import nextflow.cloud.aws.batch.AwsBatchTaskHandler;
import nextflow.cloud.aws.batch.model.RegisterJobDefinitionModel;
import nextflow.processor.TaskArrayRun;
import nextflow.processor.TaskRun;
import software.amazon.awssdk.services.batch.model.Secret;

/** Adds a task's secrets to its job definition. The ECS agent reads them with the execution role. */
public class SecretsTaskHandler extends AwsBatchTaskHandler {
  private static final String JOB_DEFINITION = "job-definition://";

  private final AwsBatchExecutor executor;

  public SecretsTaskHandler(TaskRun task, AwsBatchExecutor executor) {
    super(task, executor);
    this.executor = executor;
  }

  /** Checks the secrets before the job is submitted. */
  @Override
  public void submit() {
    String container = getTask().getContainer();
    if (!secrets(getTask()).isEmpty() && container != null && container.startsWith(JOB_DEFINITION)) {
      throw RunSecrets.failure(
          "Cannot add secrets to the job definition of task '" + getTask().getName() + "' (" + container
              + "): set the container to an image, or remove the task's secret directives");
    }
    super.submit();
  }

  @Override
  @SuppressWarnings({"rawtypes", "unchecked"}) // the signature of the overridden method
  protected RegisterJobDefinitionModel configJobDefRequest(TaskRun task, List hashingTokens) {
    RegisterJobDefinitionModel request = super.configJobDefRequest(task, hashingTokens);
    List<Secret> secrets = secrets(task);
    if (!secrets.isEmpty()) {
      request.getContainerProperties().secrets(secrets);
      // Nextflow reuses a job definition that has the same tokens.
      secrets.forEach(secret -> hashingTokens.add("secret:" + secret.name() + "=" + secret.valueFrom()));
    }
    return request;
  }

  private List<Secret> secrets(TaskRun task) {
    List<String> names = declaring(task).getConfig().getSecret();
    if (names == null || names.isEmpty()) {
      return List.of();
    }
    return RunSecrets.of(executor.getSession().getConfig(), task.getName()).select(new TreeSet<>(names));
  }

  /** The configuration of an array job has no secrets. Its tasks all belong to one process. */
  private static TaskRun declaring(TaskRun task) {
    return task instanceof TaskArrayRun ? ((TaskArrayRun) task).getChildren().get(0).getTask() : task;
  }
}
