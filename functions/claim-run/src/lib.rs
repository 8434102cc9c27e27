//! Claims: the head job of a run on HPC or Kubernetes exchanges its claim token for its secrets,
//! once. This function can open values and return them; it cannot create or delete anything.

use domain::Context;
use domain::token::PresentedToken;
use domain::use_cases::claim::{Claim, Claimer};
use http_api::wire::runs::claimed_on_kubernetes;
use http_api::{Answer, Handle, Operation, Problem, Request};

/// Answers the requests of this function.
pub struct Handler {
    /// Answers claims.
    pub claimer: Claimer,
    /// Called if a claim token is used again, which can mean that it was stolen.
    pub second_use: Box<dyn Fn()>,
}

impl Handle for Handler {
    async fn handle(&self, request: Request<'_>, context: &Context<'_>) -> Result<Answer, Problem> {
        if request.operation != Operation::ClaimRun {
            return Err(Problem::new(404, "Not Found"));
        }
        let run = request.run_id()?;
        // A token of any other kind is treated like a wrong claim token.
        let PresentedToken::Opaque(key) = request.presented()? else {
            return Err(domain::Error::NotFound.into());
        };
        match self.claimer.claim(&run, &key, context).await? {
            Claim::Store(store) => Ok(Answer::raw_json(200, store)),
            Claim::Kubernetes(secrets) => Ok(claimed_on_kubernetes(&secrets, request.wants_text())),
            Claim::Ended => Err(gone("The run has ended. Launch it again.")),
            Claim::AlreadyUsed => {
                (self.second_use)();
                Err(gone(
                    "The claim token has already been used. Launch the run again. If you did not use the token, end this run.",
                ))
            }
        }
    }
}

fn gone(message: &str) -> Problem {
    domain::Error::Gone(message.to_owned()).into()
}
