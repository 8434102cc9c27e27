//! Shared by the tests of `infra/template.yaml`: a deployed stack with directly invoked functions,
//! changes to their IAM policies, and the template as CloudFormation expands it.

use std::sync::LazyLock;

pub mod aws;
pub mod exercises;
pub mod harness;
pub mod sealed;
pub mod statements;
pub mod template;

/// A result with any error.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Returns the folder names of the functions.
///
/// # Panics
///
/// If the checkout has no functions.
pub fn functions() -> impl Iterator<Item = &'static str> {
    static FUNCTIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let functions = local::Checkout::find().and_then(|checkout| checkout.functions());
        functions.expect("the checkout's functions")
    });
    FUNCTIONS.iter().map(String::as_str)
}

/// Returns the prefix of a function's resources in the template, for example `ReadSecrets`.
#[must_use]
pub fn logical(function: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    function.split('-').map(capital).collect()
}

/// Fails with this message unless `holds`.
pub fn ensure(holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(message().into()) }
}
