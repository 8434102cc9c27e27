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
    Ok(Run {
        id: run_id(row.text("pk")?)?,
        workspace: row.some_parsed("workspace")?,
        user: row.parsed("user")?,
        platform: row.parsed("platform")?,
        layout: row.parsed("layout")?,
        created: row.parsed("createdAt")?,
        not_after: row.parsed("notAfter")?,
        life: from_fields(row, "life")?,
    })
}

/// The run of a partition key.
pub(super) fn run_id(pk: &str) -> Result<RunId> {
    let id = pk.strip_prefix("RUN#").ok_or_else(|| garbled("pk"))?;
    RunId::new(id).map_err(|_| garbled("pk"))
}
