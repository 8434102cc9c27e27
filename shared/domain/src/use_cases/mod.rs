//! One file per use case. Each begins with its authorization.

pub mod authenticate;
pub mod change_secret;
pub mod claim;
pub mod clean_up;
pub mod create_secrets;
pub mod hold;
pub mod identity;
pub mod launch;
pub mod open_values;
pub mod preview;
pub mod read_runs;
pub mod read_secrets;
pub mod report;
pub mod sweep;

use crate::ports::Pace;
use crate::{Error, Result};

/// Repeats an attempt that met another writer, with jitter, while there is time; then [`Error::Contended`].
pub(crate) async fn settle<T>(pace: &impl Pace, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut repeats = 0;
    loop {
        match attempt().await {
            Err(Error::Contended) => {
                repeats += 1;
                if !pace.pause(repeats).await {
                    return Err(Error::Contended);
                }
            }
            settled => return settled,
        }
    }
}
