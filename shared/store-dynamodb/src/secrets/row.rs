//! The rows of a secret. Owner and id are stored only in the key, so that no attribute can
//! contradict them.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::Result;
use domain::ids::SecretId;
use domain::owner::SecretOwner;
use domain::secret::{OldVersion, SealedValue, Secret};

use crate::expiry::index_fields;
use crate::keys::Key;
use crate::rows::{Attributes, Fields, FromRow, Row, b, fields, n, s, second};

pub(crate) fn secret_row(secret: &Secret) -> Result<Attributes> {
    let mut row = Key::secret(secret.owner, secret.id).row(secret_fields(secret)?);
    row.extend(secret.last_used.map(|at| ("lastUsed".to_owned(), second(at))));
    Ok(row)
}

/// The part of a secret's row that every new version writes.
pub(super) fn version_fields(secret: &Secret) -> Result<Fields> {
    let mut fields = secret_fields(secret)?;
    for constant in ["name", "createdAt", "createdBy"] {
        fields.remove(constant);
    }
    Ok(fields)
}

/// Without `lastUsed`, which is stored with a precision of seconds so that it can be compared.
fn secret_fields(secret: &Secret) -> Result<Fields> {
    let mut fields = fields(secret)?;
    for elsewhere in ["id", "owner", "lastUsed"] {
        fields.remove(elsewhere);
    }
    fields.insert("lost".into(), secret.properties.lost.then_some(AttributeValue::Bool(true)));
    fields.extend(index_fields(secret.id.number(), secret.expires));
    Ok(fields)
}

impl FromRow for Secret {
    fn from_row(mut row: Row) -> Result<Self> {
        let (owner, id): (SecretOwner, SecretId) = (row.owner_of_secrets()?, row.id()?);
        row.0.extend([("owner".to_owned(), s(owner)), ("id".to_owned(), n(id))]);
        row.read()
    }
}

pub(crate) fn sealed_row(sealed: &SealedValue) -> Attributes {
    let key = Key::value(sealed.owner, sealed.secret);
    key.with([("version", n(sealed.version)), ("envelope", b(&sealed.envelope))])
}

impl FromRow for SealedValue {
    fn from_row(row: Row) -> Result<Self> {
        Ok(Self {
            owner: row.owner_of_secrets()?,
            secret: row.id()?,
            version: row.field("version")?,
            envelope: row.bytes("envelope")?.to_vec(),
        })
    }
}

pub(super) fn old_version_row(secret: &Secret, old: &OldVersion, ttl: i64) -> Result<Attributes> {
    let mut row = Key::history(secret.owner, secret.id, old.version).row(fields(old)?);
    row.insert("ttl".into(), n(ttl));
    Ok(row)
}
