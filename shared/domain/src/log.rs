//! The log line of an error, with the same fields everywhere.

use tracing::Level;

use crate::Error;
use crate::ids::{RunId, TokenId};

/// An error for the log: its code and causes, never the text for the client.
#[must_use]
pub struct Logged<'a> {
    code: &'a str,
    cause: String,
    ours: bool,
    operation: Option<&'a str>,
    status: Option<u16>,
    run: Option<&'a RunId>,
    token: Option<TokenId>,
}

/// Creates the log line of an error of the domain.
pub fn error(error: &Error) -> Logged<'static> {
    Logged { ours: error.is_service_fault(), ..failure(error.code(), error.causes()) }
}

/// Creates the log line of a failure outside the domain.
pub fn failure(code: &str, cause: impl Into<String>) -> Logged<'_> {
    let cause = cause.into();
    Logged { code, cause, ours: true, operation: None, status: None, run: None, token: None }
}

/// Creates the log line of a request that is refused before it reaches a use case.
pub fn refusal(code: &str) -> Logged<'_> {
    Logged { ours: false, ..failure(code, "") }
}

impl<'a> Logged<'a> {
    /// Adds the operation.
    pub fn operation(self, operation: &'a str) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Adds the HTTP status of the answer.
    pub fn status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Adds the run.
    pub fn run(self, run: &'a RunId) -> Self {
        Self { run: Some(run), ..self }
    }

    /// Adds the personal access token.
    pub fn token(self, token: TokenId) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Logs "failed" as ERROR if the service is at fault, otherwise "refused" as INFO.
    pub fn by_fault(self) {
        match self.ours {
            true => self.error("failed"),
            false => self.info("refused"),
        }
    }

    /// Logs a message as ERROR.
    pub fn error(self, message: &str) {
        self.at(Level::ERROR, message);
    }

    /// Logs a message as WARN: something failed, and another mechanism makes up for it.
    pub fn warn(self, message: &str) {
        self.at(Level::WARN, message);
    }

    /// Logs a message as INFO.
    pub fn info(self, message: &str) {
        self.at(Level::INFO, message);
    }

    fn at(self, level: Level, message: &str) {
        // A level is part of the callsite, so each level needs its own.
        macro_rules! line {
            ($level:ident) => {
                tracing::event!(
                    Level::$level,
                    operation = self.operation,
                    http.status = self.status,
                    run.id = self.run.map(tracing::field::display),
                    token.id = self.token.map(tracing::field::display),
                    error.code = self.code,
                    error.cause = Some(self.cause.as_str()).filter(|cause| !cause.is_empty()),
                    "{message}"
                )
            };
        }
        match level {
            Level::ERROR => line!(ERROR),
            Level::WARN => line!(WARN),
            _ => line!(INFO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::logged;

    #[test]
    fn an_error_is_logged_with_its_subjects_code_and_causes() {
        let run = RunId::new("ab12ABCDEFGHIJ").unwrap();
        let unavailable = Error::unavailable("kms Decrypt", "refused, HTTP 500");
        let ((), lines) = logged(|| {
            error(&unavailable).run(&run).token(TokenId::new(7).unwrap()).warn("it was not announced");
            error(&unavailable).operation("Launch").status(503).by_fault();
            failure("misconfigured", "TABLE must be a name").error("the environment is wrong");
        });
        let expected = [
            "WARN message=it was not announced run.id=ab12ABCDEFGHIJ token.id=7 error.code=\"unavailable\" \
             error.cause=\"kms Decrypt: refused, HTTP 500\"",
            "ERROR message=failed operation=\"Launch\" http.status=503 error.code=\"unavailable\" \
             error.cause=\"kms Decrypt: refused, HTTP 500\"",
            "ERROR message=the environment is wrong error.code=\"misconfigured\" \
             error.cause=\"TABLE must be a name\"",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_refusal_is_logged_without_the_text_that_its_client_is_shown() {
        let ((), lines) = logged(|| error(&Error::Invalid("canary".into())).operation("Launch").by_fault());
        assert_eq!(lines, ["INFO message=refused operation=\"Launch\" error.code=\"invalid\""]);
    }
}
