//! The emulator refuses what AWS refuses (docs/emulator.md): `refusals.py` tests each rule on a
//! separate emulator.

use std::error::Error;
use std::process::Command;

use local::{Checkout, Emulator, EmulatorOptions, Installation, Progress};

#[tokio::test]
async fn the_emulator_refuses_what_aws_is_documented_to_refuse() -> Result<(), Box<dyn Error>> {
    let checkout = Checkout::find()?;
    let installation = Installation::ready(&checkout, Progress::Quiet).await?;
    let folder = tempfile::tempdir()?;
    let options = EmulatorOptions::for_test(folder.path(), "none");
    let emulator = Emulator::start(&checkout, &installation, &options).await?;
    let tests = Command::new(installation.python())
        .arg("-B")
        .arg(checkout.root().join("infra/local/tests/refusals.py"))
        .arg(&emulator.addresses().aws_endpoint)
        .output()?;
    emulator.stop().await?;
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stderr));
    Ok(())
}
