//! What stands for a caller's idempotency key. DynamoDB removes expired rows late, so every condition and every read
//! looks at the exact expiry.

use domain::Result;
use domain::Timestamp;
use domain::idempotency::{Idempotency, Made, Remembered};
use domain::ids::RunId;

use crate::expression_attributes::ExpressionAttributes;
use crate::keys::Key;
use crate::rows::{Attributes, Row, b, garbled, n, s};
use crate::transaction::{ABSENT, Transaction};

impl<P: PartialEq> Transaction<'_, P> {
    /// Remembers what the request makes, unless something unexpired is remembered under the key already, other than
    /// the run that is replaced.
    pub(crate) fn remembered(
        &mut self,
        part: P,
        idempotency: &Idempotency,
        remembered: &Remembered,
        now: Timestamp,
        replaces: Option<&RunId>,
    ) {
        let mut attributes = ExpressionAttributes::default();
        let expires = attributes.name("expires");
        let now = attributes.value(n(now.as_millisecond()));
        let mut condition = format!("{ABSENT} OR {expires} <= {now}");
        if let Some(run) = replaces {
            let made = attributes.name("run");
            let run = attributes.value(s(run.as_str()));
            condition = format!("{condition} OR {made} = {run}");
        }
        self.put_if(part, remembered_row(idempotency, remembered), &condition, attributes);
    }
}

fn remembered_row(idempotency: &Idempotency, remembered: &Remembered) -> Attributes {
    let key = match &remembered.made {
        Made::Secret(_) | Made::Secrets(_) => Key::idempotency(idempotency),
        Made::Run(_) => Key::launch_idempotency(idempotency),
    };
    let mut row = key.attributes();
    row.insert("fingerprint".into(), b(&remembered.fingerprint));
    row.insert("expires".into(), n(remembered.expires.as_millisecond()));
    row.insert("ttl".into(), n(remembered.expires.as_second()));
    let (name, made) = match &remembered.made {
        Made::Secret(id) => ("secret", n(id)),
        Made::Secrets(ids) => {
            let ids = ids.iter().map(n).collect();
            ("secrets", aws_sdk_dynamodb::types::AttributeValue::L(ids))
        }
        Made::Run(id) => ("run", s(id.as_str())),
    };
    row.insert(name.into(), made);
    row
}

pub(crate) fn remembered_from(row: &Row) -> Result<Remembered> {
    let made = if let Some(run) = row.some_text("run")? {
        Made::Run(RunId::new(run).map_err(|_| garbled("run"))?)
    } else if let Some(ids) = row.list("secrets")? {
        Made::Secrets(ids)
    } else {
        Made::Secret(row.parsed("secret")?)
    };
    let expires = Timestamp::from_millisecond(row.parsed("expires")?).map_err(|_| garbled("expires"))?;
    Ok(Remembered { fingerprint: row.bytes("fingerprint")?.to_vec(), made, expires })
}
