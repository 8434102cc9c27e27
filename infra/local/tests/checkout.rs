//! `local` acts on the checkout that it is run in, which can be a copy of the one that it was built
//! in.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `local status` as if the program was built in this folder.
fn status(folder: &Path, current: &Path) -> Result<Output, Box<dyn Error>> {
    let program = folder.join("target/debug/local");
    std::fs::create_dir_all(folder.join("target/debug"))?;
    if !program.exists() {
        let built = env!("CARGO_BIN_EXE_local");
        std::fs::hard_link(built, &program).or_else(|_| std::fs::copy(built, &program).map(drop))?;
    }
    Ok(Command::new(program).arg("status").current_dir(current).output()?)
}

#[test]
fn a_checkout_that_was_copied_with_its_target_folder_has_a_separate_stack() -> Result<(), Box<dyn Error>> {
    let copy = tempfile::tempdir()?;
    let copy = copy.path();
    let refused = status(copy, copy)?;
    let reason = String::from_utf8(refused.stderr)?;
    assert!(reason.contains("is not in a checkout of Pipeline Secrets: change to the folder"), "{reason}");

    std::fs::create_dir_all(copy.join("infra/local"))?;
    for file in ["Cargo.toml", "infra/template.yaml", "infra/local/Cargo.toml"] {
        std::fs::write(copy.join(file), "")?;
    }
    for current in [copy, &copy.join("infra/local"), Path::new("/")] {
        let answer = status(copy, current)?;
        let text = String::from_utf8([answer.stdout, answer.stderr].concat())?;
        assert_eq!(text, "The local stack is not running. To start it, run: cargo local up\n");
        std::fs::remove_dir(copy.join(".local"))?; // it was created, because the copy has no stack
    }
    Ok(())
}
