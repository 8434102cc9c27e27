package nextflow.cloud.aws.batch.model;

public class RegisterJobDefinitionModel {
  private final ContainerPropertiesModel containerProperties = new ContainerPropertiesModel();

  public ContainerPropertiesModel getContainerProperties() {
    return containerProperties;
  }
}
