//! What stands for a caller's idempotency key. DynamoDB removes expired rows late, so every condition and every read
//! looks at the exact expiry.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::idempotency::{Idempotency, Made, Remembered};
use domain::ids::RunId;
use domain::{Result, Timestamp};

use crate::expression_attributes::ExpressionAttributes;
use crate::keys::Key;
use crate::rows::{Attributes, FromRow, Row, b, corrupt, n, s};
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
            condition = format!("{condition} OR {}", attributes.equals("run", s(run.as_str())));
        }
        self.put_if(part, remembered_row(idempotency, remembered), &condition, attributes);
    }
}

fn remembered_row(idempotency: &Idempotency, remembered: &Remembered) -> Attributes {
    let made = match &remembered.made {
        Made::Secret(id) => ("secret", n(id)),
        Made::Secrets(ids) => ("secrets", AttributeValue::L(ids.iter().map(n).collect())),
        Made::Run(id) => ("run", s(id.as_str())),
    };
    let key = match &remembered.made {
        Made::Secret(_) | Made::Secrets(_) => Key::idempotency(idempotency),
        Made::Run(_) => Key::launch_idempotency(idempotency),
    };
    key.with([
        ("fingerprint", b(&remembered.fingerprint)),
        ("expires", n(remembered.expires.as_millisecond())),
        ("ttl", n(remembered.expires.as_second())),
        made,
    ])
}

impl FromRow for Remembered {
    fn from_row(row: Row) -> Result<Self> {
        let made = if let Some(run) = row.some_field("run")? {
            Made::Run(run)
        } else if let Some(ids) = row.some_field("secrets")? {
            Made::Secrets(ids)
        } else {
            Made::Secret(row.field("secret")?)
        };
        let expires = Timestamp::from_millisecond(row.field("expires")?).map_err(|_| corrupt("expires"))?;
        Ok(Self { fingerprint: row.bytes("fingerprint")?.to_vec(), made, expires })
    }
}
