package pipelinesecrets;

import nextflow.plugin.BasePlugin;
import org.pf4j.PluginWrapper;

/** The class that the manifest names. The extensions are in META-INF/extensions.idx. */
public class SecretsPlugin extends BasePlugin {
  public SecretsPlugin(PluginWrapper wrapper) {
    super(wrapper);
  }
}
