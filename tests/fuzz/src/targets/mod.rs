//! The targets. Each takes any bytes, and panics if a property is violated.

/// A target.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name of its corpus folder and its `cargo fuzz` program.
    pub name: &'static str,
    /// Runs the target on an input.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* pub mod $name;)*

        /// All targets.
        pub const ALL: &[Target] = &[$(Target { name: stringify!($name), run: $name::run }),*];
    };
}

targets! {
    /// Secret names.
    name;
    /// API Gateway events.
    request;
    /// Request bodies of every operation.
    body;
    /// `.env` files of an import.
    dotenv;
    /// Envelopes, and values to seal.
    envelope;
    /// Rows of the table.
    row;
    /// Events to `cleanup-run`.
    event;
    /// `Authorization` headers, including JSON Web Tokens.
    authorization;
    /// Claims of a JSON Web Token with a valid signature.
    claims;
    /// The configuration of OpenID Connect issuers.
    issuers;
    /// Reports of runs, including Nextflow's messages.
    report;
    /// Launches and previews.
    launch;
    /// Operators' documents for `apply` and reconciliation.
    apply;
}

/// Returns the input as lossy text.
fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Is part of the values in the corpus, and of no name, so no answer may contain it.
pub const MARK: &str = "kAn-ArIe";

/// Checks a message for clients: one line of bounded length without a value.
fn one_line(text: &str) {
    assert!(!text.contains(MARK), "a value is quoted: {text}");
    assert!(!text.is_empty() && text.len() < 600, "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// Checks an answer to API Gateway, and returns its status.
fn check_answer(answer: &str) -> u64 {
    let answer: serde_json::Value = serde_json::from_str(answer).expect("an answer is JSON");
    let status = answer["statusCode"].as_u64().expect("a status");
    assert!((200..500).contains(&status) || status == 501, "{answer}");
    for (_, value) in answer["headers"].as_object().expect("headers") {
        one_line(value.as_str().expect("text"));
    }
    if status >= 400 {
        let body = answer["body"].as_str().expect("a message");
        let body: serde_json::Value = serde_json::from_str(body).expect("an error is JSON");
        one_line(body["message"].as_str().expect("a message"));
    }
    status
}
