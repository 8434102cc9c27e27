//! A run's row. Beside its own attributes it has those of the two indexes: `runScope` with `created`, and `dueShard`
//! with `due` for as long as something is due, both times in epoch milliseconds; and `ttl` once it has ended.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::Result;
use domain::ids::RunId;
use domain::run::{Life, Run, State};

use crate::Store;
use crate::keys::{Key, due_shard};
use crate::rows::{Attributes, Row, fields, from_fields, garbled, n, put_some, s, time};

pub(super) fn run_row(store: &Store, run: &Run) -> Result<Attributes> {
    let mut row = Key::run(&run.id).attributes();
    put_some(&mut row, "workspace", run.workspace.map(n));
    row.insert("user".into(), n(run.user));
    row.insert("platform".into(), s(run.platform.as_str()));
    row.insert("layout".into(), s(run.layout.as_str()));
    row.insert("createdAt".into(), time(run.created));
    row.insert("notAfter".into(), time(run.not_after));
    row.insert("runScope".into(), s(run.scope()));
    row.insert("created".into(), n(run.created.as_millisecond()));
    for (name, value) in life_attributes(store, run, &run.life)? {
        put_some(&mut row, &name, value);
    }
    Ok(row)
}

/// All that a write of a life sets, or removes where there is no value.
pub(super) fn life_attributes(
    store: &Store,
    run: &Run,
    life: &Life,
) -> Result<Vec<(String, Option<AttributeValue>)>> {
    let mut attributes = fields(life)?;
    let over = life.removed.or(life.ending).unwrap_or(run.created);
    let ttl = (life.state == State::Ended).then(|| n(store.ttl(over)));
    attributes.push(("dueShard".into(), life.due.map(|_| s(due_shard(&run.id)))));
    attributes.push(("due".into(), life.due.map(|due| n(due.as_millisecond()))));
    attributes.push(("ttl".into(), ttl));
    Ok(attributes)
}

pub(super) fn run_from(row: &Row) -> Result<Run> {
    let life: Life = from_fields(row, "life")?;
    // No write could follow it: every sweep would try one until its time is over.
    if life.revision == u64::MAX {
        return Err(garbled("revision"));
    }
    Ok(Run {
        id: run_id(row.text("pk")?)?,
        workspace: row.some_parsed("workspace")?,
        user: row.parsed("user")?,
        platform: row.parsed("platform")?,
        layout: row.parsed("layout")?,
        created: row.parsed("createdAt")?,
        not_after: row.parsed("notAfter")?,
        life,
    })
}

/// The run of a partition key.
pub(super) fn run_id(pk: &str) -> Result<RunId> {
    let id = pk.strip_prefix("RUN#").ok_or_else(|| garbled("pk"))?;
    RunId::new(id).map_err(|_| garbled("pk"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::n;
    use crate::testing::{TestStore, a_run, later};

    #[tokio::test]
    async fn a_row_with_the_last_revision_of_all_is_not_read() {
        let test = TestStore::start().await;
        let mut row = run_row(&test.store, &a_run("a")).unwrap();
        row.insert("revision".into(), n(u64::MAX));
        let outcome = run_from(&Row(row));
        assert!(matches!(outcome, Err(domain::Error::Bug { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_row_of_another_version_is_read_as_far_as_it_goes() {
        let test = TestStore::start().await;
        let mut run = a_run("a");
        run.life.copies.clear();
        let mut row = run_row(&test.store, &run).unwrap();
        for optional in ["copies", "dueAt", "due", "dueShard", "workspace"] {
            row.remove(optional);
        }
        row.insert("later".into(), AttributeValue::Ns(vec!["1".into()]));
        row.insert("priority".into(), n(3));
        run.life.due = None;
        run.workspace = None;
        assert_eq!(run_from(&Row(row)).unwrap(), run);
    }

    #[tokio::test]
    async fn a_due_time_is_kept_exactly_beside_the_one_of_the_index() {
        let test = TestStore::start().await;
        let run = a_run("a");
        let row = run_row(&test.store, &run).unwrap();
        assert_eq!(row["due"], n(later(120).as_millisecond()));
        assert_eq!(run_from(&Row(row)).unwrap().life.due, Some(run.life.lease_until));
    }
}
