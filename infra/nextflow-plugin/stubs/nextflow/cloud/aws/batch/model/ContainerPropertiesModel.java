package nextflow.cloud.aws.batch.model;

import java.util.List;
import software.amazon.awssdk.services.batch.model.Secret;

public class ContainerPropertiesModel {
  private List<Secret> secrets;

  public ContainerPropertiesModel secrets(List<Secret> value) {
    secrets = value;
    return this;
  }

  public List<Secret> getSecrets() {
    return secrets;
  }
}
