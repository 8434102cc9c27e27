//! KMS, AWS Secrets Manager, AWS Batch and the event bus in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Faults;
use crate::copies::{CopyTags, RunCopy};
use crate::envelope::{DataKey, EncryptionContext, PlainDataKey};
use crate::environment::{Duty, Environment, RoleArn};
use crate::expiry::ExpiryNotice;
use crate::head_job::ObservedJob;
use crate::ids::RunId;
use crate::ports::{
    AnnounceExpiry, AnnounceRuns, CleanupSession, CopyStatus, CreateCopies, DecryptDataKey, DeliverTo,
    FoundCopy, GenerateDataKey, ObserveAt, ObserveJobs, RemoveAt, RemoveCopies, RunNotice,
};
use crate::run::JobStatus;
use crate::{Error, Result};

/// Data keys, each bound to its encryption context.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) faults: Faults,
    made: RefCell<Vec<EncryptionContext>>,
}

fn data_key(index: u8) -> PlainDataKey {
    PlainDataKey::new(&[index; PlainDataKey::LENGTH]).unwrap()
}

#[async_trait(?Send)]
impl GenerateDataKey for Keys {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey> {
        self.faults.call("generate_data_key", || {
            let mut made = self.made.borrow_mut();
            made.push(context.clone());
            let index = u8::try_from(made.len()).unwrap();
            Ok(DataKey { plain: data_key(index), encrypted: vec![index] })
        })
    }
}

#[async_trait(?Send)]
impl DecryptDataKey for Keys {
    async fn decrypt_data_key(&self, encrypted: &[u8], context: &EncryptionContext) -> Result<PlainDataKey> {
        self.faults.call("decrypt_data_key", || {
            let index = encrypted[0];
            let made = self.made.borrow();
            let bound = made.get(usize::from(index) - 1).ok_or(Error::EnvelopeRefused)?;
            if bound == context { Ok(data_key(index)) } else { Err(Error::EnvelopeRefused) }
        })
    }
}

/// AWS Secrets Manager: the secrets by name.
#[derive(Default)]
pub(crate) struct Target {
    pub(crate) faults: Faults,
    pub(crate) copies: RefCell<BTreeMap<String, TargetCopy>>,
    /// Copies that were deleted within the last five minutes: lists still contain them.
    pub(crate) still_listed: RefCell<Vec<FoundCopy>>,
    /// The number of next deletes that succeed but leave the copy in place.
    pub(crate) slow_deletes: Cell<u32>,
}

#[derive(Clone)]
pub(crate) struct TargetCopy {
    pub(crate) deployment: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) run: Option<String>,
    pub(crate) not_after: Option<Timestamp>,
    pub(crate) body: String,
}

impl Target {
    /// Creates a copy with these tags.
    pub(crate) fn put(
        &self,
        name: &str,
        deployment: Option<&str>,
        run: Option<&str>,
        not_after: Option<Timestamp>,
    ) {
        let copy = TargetCopy {
            deployment: deployment.map(str::to_owned),
            scope: None,
            run: run.map(str::to_owned),
            not_after,
            body: String::new(),
        };
        self.copies.borrow_mut().insert(name.to_owned(), copy);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.copies.borrow().keys().cloned().collect()
    }
}

#[async_trait(?Send)]
impl CreateCopies for Target {
    async fn create_copy(&self, copy: &RunCopy, body: Zeroizing<String>, tags: &CopyTags) -> Result<String> {
        self.faults.call("create_copy", || {
            let mut copies = self.copies.borrow_mut();
            if copies.contains_key(&copy.name) {
                return Err(Error::Conflict("The name of a copy is taken.".into()));
            }
            let made = TargetCopy {
                deployment: Some(tags.deployment.clone()),
                scope: Some(crate::copies::scope_tag(tags.scope)),
                run: Some(tags.run.clone()),
                not_after: Some(tags.not_after),
                body: body.as_str().to_owned(),
            };
            copies.insert(copy.name.clone(), made);
            Ok(format!("arn:{}", copy.name))
        })
    }
}

#[async_trait(?Send)]
impl RemoveCopies for Target {
    async fn describe_copy(&self, name: &str) -> Result<CopyStatus> {
        self.faults.call("describe_copy", || {
            Ok(self.copies.borrow().get(name).map_or(CopyStatus::Gone, |copy| CopyStatus::Found {
                deployment: copy.deployment.clone(),
                run: copy.run.clone(),
            }))
        })
    }

    async fn delete_copy(&self, name: &str) -> Result<()> {
        self.faults.call("delete_copy", || {
            match self.slow_deletes.get() {
                0 => drop(self.copies.borrow_mut().remove(name)),
                slow => self.slow_deletes.set(slow - 1),
            }
            Ok(())
        })
    }

    async fn list_copies(&self, deployment: &str) -> Result<Vec<FoundCopy>> {
        self.faults.call("list_copies", || {
            let copies = self.copies.borrow();
            let ours = copies.iter().filter(|(_, copy)| copy.deployment.as_deref() == Some(deployment));
            Ok(ours
                .map(|(name, copy)| FoundCopy {
                    name: name.clone(),
                    scope: copy
                        .scope
                        .as_deref()
                        .and_then(|scope| crate::copies::FoundTags::decode([(CopyTags::SCOPE, scope)]).scope),
                    run: copy.run.clone(),
                    not_after: copy.not_after,
                })
                .chain(self.still_listed.borrow().iter().cloned())
                .collect())
        })
    }
}

/// AWS Batch: what DescribeJobs shows of each job.
#[derive(Default)]
pub(crate) struct Jobs {
    pub(crate) faults: Faults,
    jobs: RefCell<BTreeMap<String, ObservedJob>>,
}

impl Jobs {
    /// Sets the status of a job that names no run.
    pub(crate) fn set(&self, id: &str, status: JobStatus) {
        self.put(id, ObservedJob { status, ..ObservedJob::unknown() });
    }

    /// Adds or replaces a job.
    pub(crate) fn put(&self, id: &str, job: ObservedJob) {
        self.jobs.borrow_mut().insert(id.to_owned(), job);
    }
}

#[async_trait(?Send)]
impl ObserveJobs for Jobs {
    async fn observe_job(&self, job_id: &str) -> Result<ObservedJob> {
        self.faults.call("observe_job", || {
            Ok(self.jobs.borrow().get(job_id).cloned().unwrap_or_else(ObservedJob::unknown))
        })
    }
}

/// Environments: the copies and the jobs of all of them, and the sessions so far.
#[derive(Default)]
pub(crate) struct Environments {
    pub(crate) faults: Faults,
    pub(crate) target: Rc<Target>,
    pub(crate) jobs: Rc<Jobs>,
    /// Duty, role and name of each session.
    pub(crate) sessions: RefCell<Vec<(Duty, RoleArn, String)>>,
    /// While true, no role can be assumed.
    pub(crate) unreachable: Cell<bool>,
}

impl Environments {
    fn open(&self, duty: Duty, environment: &Environment, session: &str) -> Result<()> {
        self.faults.call("assume_role", || {
            self.sessions.borrow_mut().push((duty, environment.role.clone(), session.to_owned()));
            if self.unreachable.get() { Err(super::environment_refused()) } else { Ok(()) }
        })
    }
}

#[async_trait(?Send)]
impl DeliverTo for Environments {
    async fn deliver_to(&self, environment: &Environment, run: &RunId) -> Result<Rc<dyn CreateCopies>> {
        self.open(Duty::Deliver, environment, run.as_str())?;
        Ok(self.target.clone())
    }
}

#[async_trait(?Send)]
impl ObserveAt for Environments {
    async fn observe_at(&self, environment: &Environment, run: &RunId) -> Result<Rc<dyn ObserveJobs>> {
        self.open(Duty::Observe, environment, run.as_str())?;
        Ok(self.jobs.clone())
    }
}

#[async_trait(?Send)]
impl RemoveAt for Environments {
    async fn remove_at(&self, environment: &Environment, run: Option<&RunId>) -> Result<CleanupSession> {
        self.open(Duty::Remove, environment, run.map_or("sweep", RunId::as_str))?;
        Ok(CleanupSession { jobs: self.jobs.clone(), copies: self.target.clone() })
    }
}

/// The event bus: published events, in order.
#[derive(Default)]
pub(crate) struct Bus {
    pub(crate) faults: Faults,
    pub(crate) announced: RefCell<Vec<(RunId, RunNotice)>>,
    /// Each call with notices of expiries.
    pub(crate) notices: RefCell<Vec<Vec<ExpiryNotice>>>,
    /// The number of entries that the bus rejects in each call.
    pub(crate) rejects: Cell<usize>,
}

#[async_trait(?Send)]
impl AnnounceRuns for Bus {
    async fn announce(&self, run: &RunId, notice: RunNotice) -> Result<()> {
        self.faults.call("announce", || {
            self.announced.borrow_mut().push((run.clone(), notice));
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl AnnounceExpiry for Bus {
    async fn announce_expiry(&self, notices: &[ExpiryNotice]) -> Result<usize> {
        self.faults.call("announce_expiry", || {
            self.notices.borrow_mut().push(notices.to_vec());
            Ok(self.rejects.get())
        })
    }
}
