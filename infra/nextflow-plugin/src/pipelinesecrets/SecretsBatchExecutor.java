package pipelinesecrets;

import nextflow.cloud.aws.batch.AwsBatchExecutor;
import nextflow.processor.TaskHandler;
import nextflow.processor.TaskRun;
import nextflow.util.ServiceName;

/** Nextflow's AWS Batch executor with secrets. Nextflow prefers an executor that is important. */
@ServiceName(value = "awsbatch", important = true)
public class SecretsBatchExecutor extends AwsBatchExecutor {
  @Override
  public TaskHandler createTaskHandler(TaskRun task) {
    return new SecretsTaskHandler(task, this);
  }
}
