//! What the tests of `infra/template.yaml` share: a deployed stack whose functions are invoked directly, IAM that can be
//! changed under them, and the template as CloudFormation expands it.

use std::sync::LazyLock;

pub mod aws;
pub mod exercises;
pub mod harness;
pub mod sealed;
pub mod statements;
pub mod template;

/// The result of everything here: what went wrong, in words.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The functions, by the names of their folders.
///
/// # Panics
///
/// Where the checkout has none.
pub fn functions() -> impl Iterator<Item = &'static str> {
    static FUNCTIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let functions = local::Checkout::find().and_then(|checkout| checkout.functions());
        functions.expect("the checkout's functions")
    });
    FUNCTIONS.iter().map(String::as_str)
}

/// The name of a function's resources in the template, without what follows it: `ReadSecrets`.
#[must_use]
pub fn logical(function: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    function.split('-').map(capital).collect()
}

/// Fails with these words unless it holds.
pub fn ensure(holds: bool, words: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(words().into()) }
}
