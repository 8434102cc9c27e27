//! A run's row. In addition to the run's fields, it has the attributes of the indexes: `runScope`,
//! `created`, `copyCount`, and `dueShard` with `due` while the run has a due time. `created` and
//! `due` are in epoch milliseconds. An ended run also has `ttl`.
//!
//! A run in an environment has another platform in its row. A version of this code that knows no
//! environments cannot read it: otherwise it would look for the run's copies in the deployment's
//! own account, find none, and end the run.

use domain::Result;
use domain::ids::RunId;
use domain::platform::Platform;
use domain::run::{Lifecycle, Run, State};

use crate::Store;
use crate::keys::{Key, due_shard};
use crate::rows::{Attributes, Fields, FromRow, Row, corrupt, fields, n, s};

/// The platform, in their rows, of runs in environments.
pub(super) const ELSEWHERE: &str = "aws-batch/environment";

pub(super) fn run_row(store: &Store, run: &Run) -> Result<Attributes> {
    let mut row = fields(run)?;
    row.remove("id");
    if !run.target.is_home() {
        row.insert("platform".into(), Some(s(ELSEWHERE)));
    }
    row.insert("runScope".into(), Some(s(run.scope())));
    row.insert("created".into(), Some(n(run.created.as_millisecond())));
    // The index of live runs has this number, but not the copies. Almost all runs have one.
    let copies = run.lifecycle.copies.len();
    row.insert("copyCount".into(), (copies != 1).then(|| n(copies)));
    row.extend(lifecycle_fields(store, run, &run.lifecycle)?);
    Ok(Key::run(&run.id).row(row))
}

/// The attributes that a write of a lifecycle sets or, without a value, removes.
pub(super) fn lifecycle_fields(store: &Store, run: &Run, lifecycle: &Lifecycle) -> Result<Fields> {
    let mut fields = fields(lifecycle)?;
    let ended = lifecycle.removed.or(lifecycle.ending).unwrap_or(run.created);
    let ttl = (lifecycle.state == State::Ended).then(|| n(store.ttl(ended)));
    fields.insert("dueShard".into(), lifecycle.due.map(|_| s(due_shard(&run.id))));
    fields.insert("due".into(), lifecycle.due.map(|due| n(due.as_millisecond())));
    fields.insert("ttl".into(), ttl);
    Ok(fields)
}

impl FromRow for Run {
    fn from_row(mut row: Row) -> Result<Self> {
        let id = run_id(&row)?;
        row.0.insert("id".into(), s(id));
        let elsewhere = row.some_field::<String>("platform")?.as_deref() == Some(ELSEWHERE);
        if elsewhere {
            row.0.insert("platform".into(), s(Platform::AwsBatch.as_str()));
        }
        let run: Self = row.read()?;
        // A lost target must not turn into the deployment's own account.
        if run.target.is_home() == elsewhere {
            return Err(corrupt("target"));
        }
        // No revision could follow: every sweep would retry the write until it times out.
        if run.lifecycle.revision == u64::MAX {
            return Err(corrupt("revision"));
        }
        Ok(run)
    }
}

/// The run id in a row's partition key.
pub(super) fn run_id(row: &Row) -> Result<RunId> {
    let pk: String = row.field("pk")?;
    let id = pk.strip_prefix("RUN#").and_then(|id| RunId::new(id).ok());
    id.ok_or_else(|| corrupt("pk"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use domain::environment::Target;

    use super::*;
    use crate::testing::{TestStore, a_run, an_environment, later};

    #[tokio::test]
    async fn a_row_with_the_highest_revision_is_corrupt() {
        let test = TestStore::start().await;
        let mut row = run_row(&test.store, &a_run("a")).unwrap();
        row.insert("revision".into(), n(u64::MAX));
        let outcome = Run::from_row(Row(row));
        assert!(matches!(outcome, Err(domain::Error::Bug { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_row_of_another_version_is_read_as_far_as_possible() {
        let test = TestStore::start().await;
        let mut run = a_run("a");
        run.lifecycle.copies.clear();
        let mut row = run_row(&test.store, &run).unwrap();
        for optional in ["copies", "dueAt", "due", "dueShard", "workspace"] {
            row.remove(optional);
        }
        row.insert("later".into(), AttributeValue::Ns(vec!["1".into()]));
        row.insert("priority".into(), n(3));
        run.lifecycle.due = None;
        run.workspace = None;
        assert_eq!(Run::from_row(Row(row)).unwrap(), run);
    }

    #[tokio::test]
    async fn a_run_elsewhere_is_read_only_with_its_target_and_by_versions_that_know_targets() {
        let test = TestStore::start().await;
        let run = Run { target: Target::Elsewhere(an_environment("a")), ..a_run("a") };
        let row = run_row(&test.store, &run).unwrap();
        assert_eq!(Run::from_row(Row(row.clone())).unwrap(), run);
        let mut lost = row.clone();
        lost.remove("target");
        let mut known = row.clone();
        known.insert("platform".into(), s("aws-batch"));
        for (case, row) in [("no target", lost), ("the platform of home", known)] {
            let outcome = Run::from_row(Row(row));
            assert!(matches!(outcome, Err(domain::Error::Bug { .. })), "{case}: {outcome:?}");
        }
        let platform = row["platform"].as_s().unwrap();
        platform.parse::<Platform>().unwrap_err();
        let home = run_row(&test.store, &a_run("a")).unwrap();
        assert_eq!((home.get("target"), &home["platform"]), (None, &s("aws-batch")));
    }

    #[tokio::test]
    async fn a_due_time_is_stored_exactly_in_addition_to_that_of_the_index() {
        let test = TestStore::start().await;
        let run = a_run("a");
        let row = run_row(&test.store, &run).unwrap();
        assert_eq!(row["due"], n(later(120).as_millisecond()));
        assert_eq!(Run::from_row(Row(row)).unwrap().lifecycle.due, Some(run.lifecycle.lease_until));
    }
}
