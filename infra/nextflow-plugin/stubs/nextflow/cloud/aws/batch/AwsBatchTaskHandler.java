package nextflow.cloud.aws.batch;

import java.util.ArrayList;
import java.util.List;
import nextflow.cloud.aws.batch.model.RegisterJobDefinitionModel;
import nextflow.processor.TaskHandler;
import nextflow.processor.TaskRun;
import nextflow.processor.TaskStatus;

/** Prints each job definition instead of registering it. A task completes without running. */
public class AwsBatchTaskHandler extends TaskHandler {
  public AwsBatchTaskHandler(TaskRun task, AwsBatchExecutor executor) {
    super(task);
  }

  @SuppressWarnings({"rawtypes", "unchecked"}) // as in Nextflow
  protected RegisterJobDefinitionModel configJobDefRequest(TaskRun task, List hashingTokens) {
    hashingTokens.add(task.getContainer());
    return new RegisterJobDefinitionModel();
  }

  @Override
  public void submit() {
    List<Object> hashingTokens = new ArrayList<>();
    if (!getTask().getContainer().startsWith("job-definition://")) {
      configJobDefRequest(getTask(), hashingTokens);
    }
    System.out.println("submitted " + getTask().getName() + " " + hashingTokens);
    setStatus(TaskStatus.SUBMITTED);
  }

  @Override
  public boolean checkIfRunning() {
    setStatus(TaskStatus.RUNNING);
    return true;
  }

  @Override
  public boolean checkIfCompleted() {
    getTask().setExitStatus(0);
    setStatus(TaskStatus.COMPLETED);
    return true;
  }

  @Override
  protected void killTask() {}
}
