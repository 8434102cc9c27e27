package nextflow.cloud.aws;

import nextflow.plugin.BasePlugin;
import org.pf4j.PluginWrapper;

public class AmazonPlugin extends BasePlugin {
  public AmazonPlugin(PluginWrapper wrapper) {
    super(wrapper);
  }
}
