package pipelinesecrets;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import nextflow.exception.ProcessUnrecoverableException;
import software.amazon.awssdk.services.batch.model.Secret;

/** The secrets of a run, as the generated config lists them: names and ARNs, without values. */
record RunSecrets(String task, Object workflowId, Map<?, ?> valueFrom) {
  /** Reads the scope `pipelineSecrets`. */
  static RunSecrets of(Map<?, ?> config, String task) {
    Object scope = config.get("pipelineSecrets");
    Object valueFrom = scope instanceof Map ? ((Map<?, ?>) scope).get("valueFrom") : null;
    if (!(valueFrom instanceof Map)) {
      throw failure(
          "Cannot deliver the secrets of task '" + task + "': the config has no pipelineSecrets.valueFrom;"
              + " pass the config that the launch returned to Nextflow with -c");
    }
    return new RunSecrets(task, ((Map<?, ?>) scope).get("workflowId"), (Map<?, ?>) valueFrom);
  }

  /** These secrets, in the order of the names. */
  List<Secret> select(Collection<String> names) {
    String missing = names.stream().filter(name -> valueFrom.get(name) == null).collect(Collectors.joining(", "));
    if (!missing.isEmpty()) {
      throw failure(
          "Cannot deliver the secrets of task '" + task + "': run " + workflowId + " does not have " + missing
              + "; store each missing secret, and launch the run again");
    }
    return names.stream().map(this::secret).toList();
  }

  private Secret secret(String name) {
    return Secret.builder().name(name).valueFrom(valueFrom.get(name).toString()).build();
  }

  /** Nextflow does not retry a task that fails with this exception, which Groovy leaves undeclared. */
  static RuntimeException failure(String message) {
    return RunSecrets.<RuntimeException>undeclared(new ProcessUnrecoverableException(message));
  }

  @SuppressWarnings("unchecked")
  private static <E extends Throwable> E undeclared(Throwable failure) throws E {
    throw (E) failure;
  }
}
