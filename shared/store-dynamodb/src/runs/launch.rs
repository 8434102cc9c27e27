//! The intent of a launch.

use domain::audit::AuditRecord;
use domain::idempotency::{Idempotency, Made, Remembered};
use domain::ids::RunId;
use domain::ports::{Created, LaunchRuns, remember};
use domain::run::Run;
use domain::{Error, Result, Timestamp};

use super::row::run_row;
use crate::Store;
use crate::idempotency::remembered_from;
use crate::keys::Key;
use crate::transaction::Outcome;

#[derive(PartialEq)]
enum Part {
    Run,
    Idempotency,
}

impl LaunchRuns for Store {
    async fn recall(&self, idempotency: &Idempotency, now: Timestamp) -> Result<Option<Remembered>> {
        let row = self.get(Key::idempotency(idempotency)).await?;
        let remembered = row.as_ref().map(remembered_from).transpose()?;
        Ok(remembered.filter(|remembered| remembered.expires > now))
    }

    async fn begin_run(
        &self,
        run: &Run,
        idempotency: Option<&Idempotency>,
        replaces: Option<&RunId>,
        audit: &AuditRecord,
    ) -> Result<Created> {
        let mut transaction = self.transaction();
        transaction.put_new(Part::Run, run_row(self, run)?);
        if let Some(idempotency) = idempotency {
            let remembered = remember(idempotency, Made::Run(run.id.clone()), audit.at);
            transaction.remembered(Part::Idempotency, idempotency, &remembered, audit.at, replaces);
        }
        transaction.audited(audit)?;
        match transaction.send().await? {
            Outcome::Done => Ok(Created::Done),
            Outcome::Refused(refusal) => match refusal.of(&Part::Idempotency) {
                Some(Some(row)) => Ok(Created::Known(remembered_from(row)?)),
                // The run's id is taken, or another writer was in the way: the next attempt has another id.
                _ => Err(Error::Contended),
            },
        }
    }
}
