//! The targets. Each takes any bytes, and panics where a promise is broken.

/// One way in.
#[derive(Clone, Copy)]
pub struct Target {
    /// The folder of its corpus, and the program of `cargo fuzz`.
    pub name: &'static str,
    /// Takes an input.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* pub mod $name;)*

        /// All of them.
        pub const ALL: &[Target] = &[$(Target { name: stringify!($name), run: $name::run }),*];
    };
}

targets! {
    /// Names of secrets.
    name;
    /// Whole events of API Gateway.
    request;
    /// Bodies of every operation.
    body;
    /// Files of an import.
    dotenv;
    /// Envelopes, and values to seal.
    envelope;
    /// What stands in the table.
    row;
    /// Events of the clean-up.
    event;
    /// `Authorization` headers, JSON Web Tokens among them.
    authorization;
    /// What a JSON Web Token claims whose signature holds.
    claims;
    /// What runs say of themselves, Nextflow's messages among it.
    report;
    /// Launches and previews.
    launch;
    /// What operators declare and have reconciled.
    apply;
}

/// The input as text, what is none replaced.
fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Stands in the values of the corpus. It is no part of any name, so no answer has a reason to hold it.
pub const MARK: &str = "kAn-ArIe";

/// Checks a text that a client reads: one line, of bounded length, which holds no value.
fn one_line(text: &str) {
    assert!(!text.contains(MARK), "a value is quoted: {text}");
    assert!(!text.is_empty() && text.len() < 600, "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// Checks an answer as API Gateway takes it, and gives its status.
fn answered(answer: &str) -> u64 {
    let answer: serde_json::Value = serde_json::from_str(answer).expect("an answer is JSON");
    let status = answer["statusCode"].as_u64().expect("a status");
    assert!((200..500).contains(&status), "{answer}");
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
