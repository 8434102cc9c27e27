//! One type per duty. Which clients use a session is decided where the function is wired: a
//! function links only the services that it needs.

use std::rc::Rc;

use async_trait::async_trait;
use aws_types::SdkConfig;
use domain::Result;
use domain::environment::{Duty, Environment};
use domain::ids::RunId;
use domain::ports::{CleanupSession, CreateCopies, DeliverTo, ObserveAt, ObserveJobs, RemoveAt};

use crate::RoleAssumer;

/// Delivers to environments, with clients that a function makes from the session's configuration.
pub struct Deliveries<F>(pub RoleAssumer, pub F);

#[async_trait(?Send)]
impl<F: Fn(&SdkConfig, &Environment) -> Rc<dyn CreateCopies>> DeliverTo for Deliveries<F> {
    async fn deliver_to(&self, environment: &Environment, run: &RunId) -> Result<Rc<dyn CreateCopies>> {
        let session = self.0.assume(environment, Duty::Deliver, run.as_str()).await?;
        Ok(self.1(&session, environment))
    }
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
