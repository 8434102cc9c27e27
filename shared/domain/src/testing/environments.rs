//! Compute environments in memory, and roles that answer as planned.

use std::cell::RefCell;

use async_trait::async_trait;

use super::{Faults, Table};
use crate::Result;
use crate::audit::AuditRecord;
use crate::environment::Environment;
use crate::owner::Scope;
use crate::ports::{ChangeEnvironments, CheckTarget, EnvironmentChange, Randomness, Verdict};

#[async_trait(?Send)]
impl ChangeEnvironments for Table {
    async fn change_environment(
        &self,
        _: Option<&Scope>,
        change: &EnvironmentChange,
        audit: &AuditRecord,
    ) -> Result<()> {
        self.write("change_environment", |rows| {
            match change.clone() {
                EnvironmentChange::CreateCredentials(one)
                | EnvironmentChange::UpdateCredentials { to: one, .. } => {
                    rows.credentials.insert((one.workspace, one.id.clone()), one);
                }
                EnvironmentChange::DeleteCredentials(one) => {
                    rows.credentials.remove(&(one.workspace, one.id));
                }
                EnvironmentChange::CreateEnvironment(one)
                | EnvironmentChange::UpdateEnvironment { to: one, .. } => {
                    rows.environments.insert((one.workspace, one.environment.id.clone()), one);
                }
                EnvironmentChange::DeleteEnvironment { environment, listed_until } => {
                    let key = (environment.workspace, environment.environment.id);
                    rows.environments.remove(&key);
                    rows.listed_until.insert(key.1, listed_until);
                }
            }
            rows.audit.push(audit.clone());
            Ok(())
        })
    }
}

/// Roles in other accounts. The checks give the planned verdicts, and the last one from then on.
#[derive(Default)]
pub(crate) struct Roles {
    pub(crate) faults: Faults,
    pub(crate) verdicts: RefCell<Vec<Verdict>>,
    pub(crate) checked: RefCell<Vec<Environment>>,
}

#[async_trait(?Send)]
impl CheckTarget for Roles {
    async fn check_target(&self, environment: &Environment, _: &dyn Randomness) -> Result<Verdict> {
        self.faults.call("check_target", || {
            self.checked.borrow_mut().push(environment.clone());
            let mut verdicts = self.verdicts.borrow_mut();
            Ok(match verdicts.len() {
                0 => Verdict::Proved,
                1 => verdicts[0],
                _ => verdicts.remove(0),
            })
        })
    }
}
