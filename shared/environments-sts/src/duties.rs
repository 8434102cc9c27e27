//! One type per duty. Which clients use a session is decided where the function is wired: a
//! function links only the services that it needs.

use std::rc::Rc;

use async_trait::async_trait;
use aws_failures::Failure;
use aws_types::SdkConfig;
use domain::copies::{CopyTags, RunCopy};
use domain::environment::{Duty, Environment};
use domain::ids::RunId;
use domain::ports::{CleanupSession, CreateCopies, DeliverTo, ObserveAt, ObserveJobs, RemoveAt};
use domain::{Error, Result};
use zeroize::Zeroizing;

use crate::RoleAssumer;

/// Delivers to environments, with clients that a function makes from the session's configuration.
pub struct Deliveries<F>(pub RoleAssumer, pub F);

#[async_trait(?Send)]
impl<F: Fn(&SdkConfig, &Environment) -> Rc<dyn CreateCopies>> DeliverTo for Deliveries<F> {
    async fn deliver_to(&self, environment: &Environment, run: &RunId) -> Result<Rc<dyn CreateCopies>> {
        let session = self.0.assume(environment, Duty::Deliver, run.as_str()).await?;
        let account = environment.role.account().to_owned();
        Ok(Rc::new(CopiesThere { copies: self.1(&session, environment), account }))
    }
}

/// Copies in an environment. What its role or its key does not permit, its owner can mend, and not
/// the operators of the service.
struct CopiesThere {
    copies: Rc<dyn CreateCopies>,
    account: String,
}

#[async_trait(?Send)]
impl CreateCopies for CopiesThere {
    async fn create_copy(&self, copy: &RunCopy, body: Zeroizing<String>, tags: &CopyTags) -> Result<String> {
        self.copies.create_copy(copy, body, tags).await.map_err(|error| match refusal(&error) {
            true => Error::EnvironmentRefused { account: self.account.clone(), cause: NOT_PERMITTED },
            false => error,
        })
    }
}

const NOT_PERMITTED: &str = "its role can be assumed, but a copy could not be created. The role must permit it as \
    infra/compute-environment.yaml does, and so must the KMS key of the copies and the service control policies of \
    the account.";

/// `EncryptionFailure` is a key that is disabled or deleted:
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>.
fn refusal(error: &Error) -> bool {
    Failure::behind(error).is_some_and(|it| it.is_denied() || it.code() == Some("EncryptionFailure"))
}

/// Observes head jobs in environments.
pub struct Observations<F>(pub RoleAssumer, pub F);

#[async_trait(?Send)]
impl<F: Fn(&SdkConfig) -> Rc<dyn ObserveJobs>> ObserveAt for Observations<F> {
    async fn observe_at(&self, environment: &Environment, run: &RunId) -> Result<Rc<dyn ObserveJobs>> {
        let session = self.0.assume(environment, Duty::Observe, run.as_str()).await?;
        Ok(self.1(&session))
    }
}

/// Cleans up in environments.
pub struct Removals<F>(pub RoleAssumer, pub F);

/// The name of sessions that look for orphans.
const SWEEP: &str = "sweep";

#[async_trait(?Send)]
impl<F: Fn(&SdkConfig) -> CleanupSession> RemoveAt for Removals<F> {
    async fn remove_at(&self, environment: &Environment, run: Option<&RunId>) -> Result<CleanupSession> {
        let session = run.map_or(SWEEP, RunId::as_str);
        let session = self.0.assume(environment, Duty::Remove, session).await?;
        Ok(self.1(&session))
    }
}
