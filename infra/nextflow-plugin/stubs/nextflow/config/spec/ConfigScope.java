package nextflow.config.spec;

public interface ConfigScope extends org.pf4j.ExtensionPoint {}
