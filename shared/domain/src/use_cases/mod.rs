//! The use cases, one per file. Each starts with its authorization.

mod advance;
pub mod announce_expiring;
pub mod authenticate;
mod authorize;
pub mod cancel_run;
pub mod change_secret;
pub mod claim;
pub mod clean_up;
pub mod create_secrets;
pub mod environments;
pub mod extend_leases;
pub mod identity;
pub mod import_secrets;
pub mod launch;
pub mod open_values;
pub mod preview;
pub mod read_runs;
pub mod read_secrets;
pub mod register_login;
pub mod report;
pub mod sweep;

pub use self::authorize::authorize;
use crate::ports::Backoff;
use crate::{Error, Result};

/// Repeats an attempt after each [`Error::Contended`], with backoff, while there is time.
pub(crate) async fn retry_contended<T>(
    backoff: &dyn Backoff,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let mut retries = 0;
    loop {
        match attempt().await {
            Err(Error::Contended) => {
                retries += 1;
                if !backoff.wait(retries).await {
                    return Err(Error::Contended);
                }
            }
            outcome => return outcome,
        }
    }
}

/// Turns a version conflict into an error after which [`retry_contended`] reads and decides again.
pub(crate) fn conflict_as_contended(error: Error) -> Error {
    match error {
        Error::VersionConflict => Error::Contended,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Backoff, run_now, unavailable};

    #[test]
    fn an_attempt_is_retried_only_after_contention_and_only_while_there_is_time() {
        // The number of contended attempts, the result of the next one, and the outcome.
        let cases = [
            ("at once", 0, Ok(7), Ok(7), vec![]),
            ("after two", 2, Ok(7), Ok(7), vec![1, 2]),
            ("with the last repeat", 3, Ok(7), Ok(7), vec![1, 2, 3]),
            ("never in time", 4, Ok(7), Err("contended"), vec![1, 2, 3]),
            ("another error at once", 0, Err(unavailable()), Err("unavailable"), vec![]),
            ("another error later", 1, Err(unavailable()), Err("unavailable"), vec![1]),
            (
                "a version that is not current",
                0,
                Err(Error::VersionConflict),
                Err("version-conflict"),
                vec![],
            ),
        ];
        for (case, contended, last, expected, waited) in cases {
            let backoff = Backoff::of(3);
            let mut outcomes: Vec<Result<i32>> = vec![last];
            outcomes.extend((0..contended).map(|_| Err(Error::Contended)));
            let outcome = run_now(retry_contended(&backoff, async || {
                outcomes.pop().expect("no attempt after the end")
            }));
            assert_eq!(outcome.map_err(|error| error.code()), expected, "{case}");
            assert_eq!(backoff.attempts(), waited, "{case}");
        }
    }
}
