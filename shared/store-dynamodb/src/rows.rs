//! Rows and the domain's types, one into the other. Timestamps are RFC 3339 text, exact; those that an index or a
//! condition compares stand beside it as numbers. Unknown attributes are passed over.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::SecretId;
use domain::name::SecretName;
use domain::owner::SecretOwner;
use domain::secret::{Description, OldVersion, SealedValue, Secret};
use domain::value::Traits;
use domain::{Error, Result, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use crate::keys::{Key, owner_of_secrets};

/// The attributes of a row.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// A row that was read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row(pub(crate) Attributes);

/// Text.
pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number.
#[expect(clippy::needless_pass_by_value, reason = "ids and numbers are copied anyway")]
pub(crate) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Bytes.
pub(crate) fn b(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// A time, exactly.
pub(crate) fn time(at: Timestamp) -> AttributeValue {
    s(at.to_string())
}

/// A time to the second, so that two of them compare as text.
pub(crate) fn second(at: Timestamp) -> AttributeValue {
    s(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Puts an attribute where there is one.
pub(crate) fn put_some(row: &mut Attributes, name: &str, value: Option<AttributeValue>) {
    if let Some(value) = value {
        row.insert(name.to_owned(), value);
    }
}

impl Row {
    fn find<'a, T>(
        &'a self,
        name: &'static str,
        read: impl FnOnce(&'a AttributeValue) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.0.get(name) {
            None | Some(AttributeValue::Null(_)) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| garbled(name)),
        }
    }

    pub(crate) fn some_text(&self, name: &'static str) -> Result<Option<&str>> {
        self.find(name, |value| value.as_s().ok().map(String::as_str))
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<&str> {
        self.some_text(name)?.ok_or_else(|| garbled(name))
    }

    /// Text or a number, parsed.
    pub(crate) fn some_parsed<T: FromStr>(&self, name: &'static str) -> Result<Option<T>> {
        self.find(name, parsed)
    }

    /// Text or a number, parsed.
    pub(crate) fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T> {
        self.some_parsed(name)?.ok_or_else(|| garbled(name))
    }

    pub(crate) fn bytes(&self, name: &'static str) -> Result<&[u8]> {
        self.find(name, |value| value.as_b().ok().map(AsRef::as_ref))?.ok_or_else(|| garbled(name))
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool> {
        Ok(self.find(name, |value| value.as_bool().ok().copied())?.unwrap_or(false))
    }

    pub(crate) fn list<T: FromStr>(&self, name: &'static str) -> Result<Option<Vec<T>>> {
        self.find(name, |value| value.as_l().ok()?.iter().map(parsed).collect())
    }
}

fn parsed<T: FromStr>(value: &AttributeValue) -> Option<T> {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.parse().ok(),
        _ => None,
    }
}

/// A row that is not as this code writes it.
pub(crate) fn garbled(attribute: &'static str) -> Error {
    tracing::error!(attribute, "a row lacks an attribute or holds one that cannot be read");
    Error::bug("a row of the table cannot be read")
}

/// Attribute names that an index has as numbers. DynamoDB refuses any row that holds one of them as something else, so
/// what the domain's serde calls by these names goes by others.
const INDEX_KEYS: [(&str, &str); 2] = [("created", "createdAt"), ("due", "dueAt")];

/// The attributes of a value by its serde form. `None` stands for a field that is absent.
pub(crate) fn fields(value: &impl Serialize) -> Result<Vec<(String, Option<AttributeValue>)>> {
    let Ok(Value::Object(object)) = serde_json::to_value(value) else {
        return Err(Error::bug("a row's type does not serialize to an object"));
    };
    let fields = object.into_iter().map(|(name, value)| {
        let renamed = INDEX_KEYS.iter().find(|(field, _)| *field == name);
        let name = renamed.map_or(name, |(_, attribute)| (*attribute).to_owned());
        (name, to_attribute(value))
    });
    Ok(fields.collect())
}

/// A value by its serde form from its attributes and whatever else the row holds.
pub(crate) fn from_fields<T: DeserializeOwned>(row: &Row, what: &'static str) -> Result<T> {
    let mut object = Map::new();
    for (name, value) in &row.0 {
        let renamed = INDEX_KEYS.iter().find(|(_, attribute)| attribute == name);
        let name = match renamed {
            Some((field, _)) => field,
            None if INDEX_KEYS.iter().any(|(field, _)| field == name) => continue,
            None => name.as_str(),
        };
        object.insert(name.to_owned(), from_attribute(value));
    }
    serde_json::from_value(Value::Object(object)).map_err(|_| garbled(what))
}

/// A value by its serde form, nested in a row.
pub(crate) fn nested(value: &impl Serialize) -> Result<AttributeValue> {
    let value = serde_json::to_value(value).map_err(|_| Error::bug("a row's type does not serialize"))?;
    to_attribute(value).ok_or(Error::bug("a row's type serializes to nothing"))
}

/// A value by its serde form, nested in a row; `None` where the row has none.
pub(crate) fn from_nested<T: DeserializeOwned>(row: &Row, name: &'static str) -> Result<Option<T>> {
    row.find(name, |value| serde_json::from_value(from_attribute(value)).ok())
}

fn to_attribute(value: Value) -> Option<AttributeValue> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => AttributeValue::Bool(flag),
        Value::Number(number) => n(number),
        Value::String(text) => s(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().filter_map(to_attribute).collect()),
        Value::Object(object) => AttributeValue::M(
            object.into_iter().filter_map(|(name, value)| Some((name, to_attribute(value)?))).collect(),
        ),
    })
}

/// What JSON cannot hold (bytes, sets) is no part of any serde form here and becomes null.
fn from_attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Bool(flag) => Value::Bool(*flag),
        AttributeValue::N(text) => Number::from_str(text).map_or(Value::Null, Value::Number),
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::L(values) => Value::Array(values.iter().map(from_attribute).collect()),
        AttributeValue::M(object) => {
            Value::Object(object.iter().map(|(name, value)| (name.clone(), from_attribute(value))).collect())
        }
        _ => Value::Null,
    }
}

/// The part of a secret's row that every new version writes.
pub(crate) fn secret_version(secret: &Secret) -> Vec<(String, Option<AttributeValue>)> {
    let Traits { raw_bytes, json_bytes, nextflow_store, lost } = secret.traits;
    [
        ("version", Some(n(secret.version))),
        ("updatedAt", Some(time(secret.updated))),
        ("updatedBy", Some(n(secret.updated_by))),
        ("expires", secret.expires.map(time)),
        ("description", secret.description.as_ref().map(|text| s(text.as_str()))),
        ("rawBytes", Some(n(raw_bytes))),
        ("jsonBytes", Some(n(json_bytes))),
        ("nextflowStore", Some(AttributeValue::Bool(nextflow_store))),
        ("lost", lost.then_some(AttributeValue::Bool(true))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

pub(crate) fn secret_row(secret: &Secret) -> Attributes {
    let mut row = Key::secret(secret.owner, secret.id).attributes();
    row.insert("name".into(), s(secret.name.as_str()));
    row.insert("createdAt".into(), time(secret.created));
    row.insert("createdBy".into(), n(secret.created_by));
    put_some(&mut row, "lastUsed", secret.last_used.map(second));
    for (name, value) in secret_version(secret) {
        put_some(&mut row, &name, value);
    }
    row
}

pub(crate) fn secret_from(row: &Row) -> Result<Secret> {
    let (owner, id) = owner_and_id(row)?;
    Ok(Secret {
        id,
        owner,
        name: SecretName::parse(row.text("name")?).map_err(|_| garbled("name"))?,
        version: row.parsed("version")?,
        created: row.parsed("createdAt")?,
        created_by: row.parsed("createdBy")?,
        updated: row.parsed("updatedAt")?,
        updated_by: row.parsed("updatedBy")?,
        last_used: row.some_parsed("lastUsed")?,
        expires: row.some_parsed("expires")?,
        description: row
            .some_text("description")?
            .map(Description::new)
            .transpose()
            .map_err(|_| garbled("description"))?,
        traits: Traits {
            raw_bytes: row.parsed("rawBytes")?,
            json_bytes: row.parsed("jsonBytes")?,
            nextflow_store: row.flag("nextflowStore")?,
            lost: row.flag("lost")?,
        },
    })
}

pub(crate) fn sealed_row(sealed: &SealedValue) -> Attributes {
    let mut row = Key::value(sealed.owner, sealed.secret).attributes();
    row.insert("version".into(), n(sealed.version));
    row.insert("envelope".into(), b(&sealed.envelope));
    row
}

pub(crate) fn sealed_from(row: &Row) -> Result<SealedValue> {
    let (owner, secret) = owner_and_id(row)?;
    Ok(SealedValue {
        owner,
        secret,
        version: row.parsed("version")?,
        envelope: row.bytes("envelope")?.to_vec(),
    })
}

pub(crate) fn old_version_row(owner: SecretOwner, id: SecretId, old: &OldVersion, ttl: i64) -> Attributes {
    let mut row = Key::history(owner, id, old.version).attributes();
    row.insert("version".into(), n(old.version));
    row.insert("written".into(), time(old.written));
    row.insert("writtenBy".into(), n(old.written_by));
    row.insert("replaced".into(), time(old.replaced));
    row.insert("ttl".into(), n(ttl));
    row
}

pub(crate) fn old_version_from(row: &Row) -> Result<OldVersion> {
    Ok(OldVersion {
        version: row.parsed("version")?,
        written: row.parsed("written")?,
        written_by: row.parsed("writtenBy")?,
        replaced: row.parsed("replaced")?,
    })
}

/// From the key itself: there is no second place that could say something else.
fn owner_and_id(row: &Row) -> Result<(SecretOwner, SecretId)> {
    let id = row.text("sk")?.split_once('#').and_then(|(_, id)| id.parse().ok());
    let owner = owner_of_secrets(row.text("pk")?).ok_or_else(|| garbled("pk"))?;
    Ok((owner, id.ok_or_else(|| garbled("sk"))?))
}

/// Whether the row holds exactly this.
#[cfg(test)]
pub(crate) fn holds(row: &Row, name: &str, value: &AttributeValue) -> bool {
    row.0.get(name) == Some(value)
}

#[cfg(test)]
mod tests;
