//! infra/compute-environment.yaml and the script that deploys it: `compute_environment.py` has the
//! tests. It gets what the service answers for credentials.

use std::error::Error;
use std::process::Command;

use domain::environment::{CredentialsId, ExternalId, RoleArn, Service, StoredCredentials, setup};
use domain::ids::{RunPrefix, UserId, WorkspaceId};
use local::{ACCOUNT, Progress, Tools};

#[tokio::test]
async fn each_duty_of_an_environments_role_permits_what_it_needs_and_nothing_else()
-> Result<(), Box<dyn Error>> {
    let tools = Tools::ready(Progress::Quiet).await?;
    let folder = tempfile::tempdir()?;
    let answer = folder.path().join("setup.json");
    std::fs::write(&answer, answered()?.to_string())?;
    let root = tools.checkout.root();
    let tests = Command::new(tools.installation.python())
        .arg("-B")
        .arg(root.join("infra/local/tests/compute_environment.py"))
        .args([root, &answer])
        .output()?;
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stderr));
    Ok(())
}

/// The trust policy and the parameters that the service gives for credentials.
fn answered() -> Result<serde_json::Value, Box<dyn Error>> {
    let now = "2026-11-23T10:20:30Z".parse()?;
    let credentials = StoredCredentials {
        id: CredentialsId::parse(&"a".repeat(22))?,
        workspace: WorkspaceId::new(42).ok_or("an id")?,
        name: "lab".into(),
        description: None,
        role: RoleArn::parse("arn:aws:iam::210987654321:role/pipeline-secrets-lab")?,
        external_id: ExternalId::parse(&"x".repeat(32))?,
        created: now,
        created_by: UserId::new(7).ok_or("an id")?,
        updated: now,
    };
    let role = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{name}");
    let service = Service {
        roles: ["identity", "launch-run", "report-run", "cleanup-run"].map(role).to_vec(),
        bus: format!("arn:aws:events:us-east-1:{ACCOUNT}:event-bus/home-environments"),
        deployment: "home".into(),
        prefix: RunPrefix::new("ab12")?,
    };
    let setup = setup(&credentials, &service);
    let parameters: serde_json::Map<_, _> =
        setup.parameters.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    Ok(serde_json::json!({"trustPolicy": setup.trust_policy, "parameters": parameters}))
}
