//! The proof that an environment's role serves this service, and this service for this workspace
//! only.
//!
//! A role that can be assumed without its external id would let a workspace use the role of
//! another one, so AWS recommends to test both:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-user_externalid.html>.

use std::time::Duration;

use crate::context::Context;
use crate::environment::Environment;
use crate::ports::{CheckTarget, Verdict};
use crate::{Error, Result};

/// The pauses before further checks. IAM takes some seconds until a new role or policy works
/// everywhere.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// The time that one check and the writes after it can take.
const RESERVE: Duration = Duration::from_secs(8);

/// Returns if the role is proved. [`Error::Invalid`] says what is wrong with it.
pub(super) async fn prove(
    targets: &dyn CheckTarget,
    environment: &Environment,
    context: &Context<'_>,
) -> Result<()> {
    let mut verdict = targets.check_target(environment, context.randomness).await?;
    for pause in PAUSES {
        // A role that is too open does not close by waiting.
        let may_change = matches!(verdict, Verdict::Refused | Verdict::GrantsNothing);
        if !may_change || context.backoff.remaining() < pause + RESERVE {
            break;
        }
        context.backoff.pause(pause).await;
        verdict = targets.check_target(environment, context.randomness).await?;
    }
    failure(verdict, environment).map_or(Ok(()), |failure| Err(Error::Invalid(failure)))
}

/// Says what is wrong with the role and what to do.
pub(super) fn failure(verdict: Verdict, environment: &Environment) -> Option<String> {
    let Environment { role, region, .. } = environment;
    match verdict {
        Verdict::Proved => None,
        Verdict::Refused => Some(format!(
            "The role {role} cannot be assumed. Deploy infra/compute-environment.yaml in its account, or give it the trust policy in setupSnippet of the credentials. If it was made just now, retry in a minute. If the region of this service is an opt-in region, enable it in the account."
        )),
        Verdict::LetsAnyoneIn => Some(format!(
            "The role {role} can be assumed without its external ID, so any workspace could use it. Give it the trust policy in setupSnippet of the credentials."
        )),
        Verdict::GrantsNothing => Some(format!(
            "The role {role} can be assumed, but does not permit secretsmanager:DescribeSecret and batch:DescribeJobs in {region}. Check the region: a role grants its permissions in that of its stack, and a second region needs another role. Or deploy infra/compute-environment.yaml there again, and check that the account has the region enabled."
        )),
    }
}

#[cfg(test)]
mod tests;
