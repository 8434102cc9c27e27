//! The proof that an environment's role works.

use async_trait::async_trait;
use aws_failures::Failure;
use domain::environment::{Duty, Environment, ExternalId};
use domain::ports::{CheckTarget, Randomness, Verdict};
use domain::{Error, Result};

use crate::RoleAssumer;
use crate::probe::{describe_jobs, describe_secret};

/// Checks the roles of environments.
#[derive(Clone, Debug)]
pub struct Checks {
    /// Assumes the roles.
    pub assumer: RoleAssumer,
    /// A name of a copy that the role may describe and that no run has: `tower-<prefix>`.
    pub copy: String,
}

const SESSION: &str = "check";

/// A job that cannot exist.
const NO_JOB: &str = "00000000-0000-0000-0000-000000000000";

#[async_trait(?Send)]
impl CheckTarget for Checks {
    /// The service must not store a role that lets it in without the external id: another
    /// workspace could name the same role.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-user_externalid.html>
    async fn check_target(&self, environment: &Environment, randomness: &dyn Randomness) -> Result<Verdict> {
        let session = match self.assumer.assume(environment, Duty::Check, SESSION).await {
            Ok(session) => session,
            Err(Error::EnvironmentRefused { .. }) => return Ok(Verdict::Refused),
            Err(error) => return Err(error),
        };
        let wrong = ExternalId::make_random(randomness);
        match self.assumer.assume_with(environment, &wrong, Duty::Check, SESSION).await {
            Ok(_) => return Ok(Verdict::LetsAnyoneIn),
            Err(Error::EnvironmentRefused { .. }) => {}
            Err(error) => return Err(error),
        }
        let used = [
            describe_secret(environment, &session, &self.copy).await,
            describe_jobs(environment, &session, NO_JOB).await,
        ];
        for outcome in used {
            match outcome {
                Err(error) if is_denied(&error) => return Ok(Verdict::GrantsNothing),
                outcome => outcome?,
            }
        }
        Ok(Verdict::Proved)
    }
}

/// AWS Batch says `ClientException` for a missing permission, and the request is well-formed. The
/// other codes are those of a region that the account has not enabled.
/// <https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html>
fn is_denied(error: &Error) -> bool {
    Failure::behind(error).is_some_and(|failure| {
        let codes = ["ClientException", "UnrecognizedClientException", "InvalidClientTokenId"];
        failure.is_denied() || failure.code().is_some_and(|code| codes.contains(&code))
    })
}
