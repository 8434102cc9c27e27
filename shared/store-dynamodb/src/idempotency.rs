//! The rows of idempotency records. DynamoDB removes expired rows late, so every condition and
//! every read compares the exact expiry.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::idempotency::{Idempotency, IdempotencyRecord, IdempotentResult};
use domain::ids::{RunId, SecretId};
use domain::secret::{WriteOutcome, Written};
use domain::{Result, Timestamp};

use crate::expression_attributes::ExpressionAttributes;
use crate::keys::Key;
use crate::rows::{Attributes, FromRow, Row, b, corrupt, n, s};
use crate::transaction::{ABSENT, Transaction};

impl<P: PartialEq> Transaction<'_, P> {
    /// Records what the request creates. The condition fails if an unexpired record exists under
    /// the idempotency key, unless it names the run that is replaced.
    pub(crate) fn record(
        &mut self,
        part: P,
        idempotency: &Idempotency,
        record: &IdempotencyRecord,
        now: Timestamp,
        replaces: Option<&RunId>,
    ) {
        let mut attributes = ExpressionAttributes::default();
        let expires = attributes.name("expires");
        let now = attributes.value(n(now.as_millisecond()));
        let mut condition = format!("{ABSENT} OR {expires} <= {now}");
        if let Some(run) = replaces {
            condition = format!("{condition} OR {}", attributes.equals("run", s(run.as_str())));
        }
        self.put_if(part, record_row(idempotency, record), &condition, attributes);
    }
}

fn record_row(idempotency: &Idempotency, record: &IdempotencyRecord) -> Attributes {
    let result = match &record.result {
        IdempotentResult::Secret(id) => vec![("secret", n(id))],
        IdempotentResult::Secrets(ids) => vec![("secrets", AttributeValue::L(ids.iter().map(n).collect()))],
        IdempotentResult::Upserted(written) => vec![
            ("secrets", AttributeValue::L(written.iter().map(|it| n(it.id)).collect())),
            ("outcomes", AttributeValue::L(written.iter().map(|it| s(it.outcome.as_str())).collect())),
        ],
        IdempotentResult::Run(id) => vec![("run", s(id.as_str()))],
    };
    let key = match &record.result {
        IdempotentResult::Secret(_) | IdempotentResult::Secrets(_) | IdempotentResult::Upserted(_) => {
            Key::idempotency(idempotency)
        }
        IdempotentResult::Run(_) => Key::launch_idempotency(idempotency),
    };
    let mut row = key.with([
        ("fingerprint", b(&record.fingerprint)),
        ("expires", n(record.expires.as_millisecond())),
        ("ttl", n(record.expires.as_second())),
    ]);
    row.extend(result.into_iter().map(|(name, value)| (name.to_owned(), value)));
    row
}

impl FromRow for IdempotencyRecord {
    fn from_row(row: Row) -> Result<Self> {
        let result = if let Some(run) = row.some_field("run")? {
            IdempotentResult::Run(run)
        } else if let Some(ids) = row.some_field::<Vec<SecretId>>("secrets")? {
            match row.some_field::<Vec<WriteOutcome>>("outcomes")? {
                None => IdempotentResult::Secrets(ids),
                Some(outcomes) if outcomes.len() == ids.len() => {
                    let written = ids.into_iter().zip(outcomes);
                    let written = written.map(|(id, outcome)| Written { id, outcome });
                    IdempotentResult::Upserted(written.collect())
                }
                Some(_) => return Err(corrupt("outcomes")),
            }
        } else {
            IdempotentResult::Secret(row.field("secret")?)
        };
        let expires = Timestamp::from_millisecond(row.field("expires")?).map_err(|_| corrupt("expires"))?;
        Ok(Self { fingerprint: row.bytes("fingerprint")?.to_vec(), result, expires })
    }
}
