//! Claims: the head job of an HPC run trades its claim token for its Nextflow store, once. This function may open
//! values and hand them over; it creates and deletes nothing.

use domain::Context;
use domain::token::Presented;
use domain::use_cases::claim::{Claim, Claimer};
use http_api::{Answer, Handle, Operation, Problem, Request};

/// Answers the requests of this function.
pub struct Handler {
    /// Answers claims.
    pub claimer: Claimer,
    /// Called when a token was used before: perhaps by a thief.
    pub second_use: Box<dyn Fn()>,
}

impl Handle for Handler {
    async fn handle(&self, request: Request<'_>, context: &Context<'_>) -> Result<Answer, Problem> {
        if request.operation != Operation::ClaimRun {
            return Err(Problem::new(404, "Not Found"));
        }
        let run = request.run_id()?;
        // Any other token than the run's claim token is as good as a wrong one.
        let Presented::Opaque(key) = request.presented()? else {
            return Err(domain::Error::NotFound.into());
        };
        match self.claimer.claim(&run, &key, context).await? {
            Claim::Store(store) => Ok(Answer::raw_json(200, store)),
            Claim::Ended => Err(gone("The run is over: launch anew.")),
            Claim::SecondUse => {
                (self.second_use)();
                Err(gone("The claim token was used before: launch anew. If that was not you, end the run."))
            }
        }
    }
}

fn gone(message: &str) -> Problem {
    domain::Error::Gone(message.to_owned()).into()
}
