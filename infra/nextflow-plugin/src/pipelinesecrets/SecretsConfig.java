package pipelinesecrets;

import java.util.Map;
import nextflow.config.spec.ConfigOption;
import nextflow.config.spec.ConfigScope;
import nextflow.config.spec.ScopeName;
import nextflow.script.dsl.Description;

/** Describes the scope to Nextflow, which otherwise warns of unrecognized config options. */
@ScopeName("pipelineSecrets")
@Description("The secrets of a run of Pipeline Secrets. The config that a launch returns sets them.")
public class SecretsConfig implements ConfigScope {
  @ConfigOption
  @Description("The id of the run.")
  public String workflowId;

  @ConfigOption
  @Description("The ARN of each secret's copy, by name.")
  public Map<String, String> valueFrom;
}
