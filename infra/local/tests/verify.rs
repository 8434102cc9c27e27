//! infra/verify passes on a deployed stack, and names each fault that is patched into it:
//! `verify.py` has the faults.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::Command;

use local::{ACCOUNT, Credentials, EmulatorOptions, Progress, Stack, Tools};

#[tokio::test]
async fn verify_passes_and_names_each_fault_of_a_deployed_stack() -> Result<(), Box<dyn Error>> {
    let tools = Tools::ready(Progress::Quiet).await?;
    let folder = tempfile::tempdir()?;
    let options = EmulatorOptions::for_test(folder.path(), "verified");
    let break_glass = format!("arn:aws:iam::{ACCOUNT}:role/break-glass");
    let parameters = BTreeMap::from([
        ("BreakGlassPrincipal".to_owned(), break_glass),
        ("ComputeAccounts".to_owned(), "210987654321,310987654321".to_owned()),
    ]);
    let stack = Stack::start(&tools, &options, &parameters).await?;
    let programs = tools.installation.aws().parent().ok_or("no folder")?.to_owned();
    let search = std::env::var("PATH")?;
    let search = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&search)))?;
    let tests = Command::new(tools.installation.python())
        .arg("-B")
        .arg(tools.checkout.root().join("infra/local/tests/verify.py"))
        .args([&stack.aws_endpoint, stack.name()])
        .env("PATH", search)
        .envs(stack.environment(&Credentials::operator()))
        .output()?;
    stack.stop().await?;
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stderr));
    Ok(())
}
