package nextflow.cloud.aws.batch;

import nextflow.executor.Executor;
import nextflow.processor.TaskHandler;
import nextflow.processor.TaskMonitor;
import nextflow.processor.TaskPollingMonitor;
import nextflow.processor.TaskRun;
import nextflow.util.Duration;
import nextflow.util.ServiceName;
import org.pf4j.ExtensionPoint;

@ServiceName("awsbatch")
public class AwsBatchExecutor extends Executor implements ExtensionPoint {
  @Override
  public boolean isContainerNative() {
    return true;
  }

  @Override
  public boolean isSecretNative() {
    return true;
  }

  @Override
  public TaskHandler createTaskHandler(TaskRun task) {
    return new AwsBatchTaskHandler(task, this);
  }

  @Override
  protected TaskMonitor createTaskMonitor() {
    return TaskPollingMonitor.create(getSession(), getName(), 10, Duration.of("100ms"));
  }
}
