//! Rows are read and written in the serde form of the domain's types: a field is an attribute.
//! Timestamps are exact, as RFC 3339 text. If an index or a condition compares one, the row also
//! has it as a number. Unknown attributes are ignored. A missing attribute, or one of the wrong
//! type, is an error.
//!
//! `serde_dynamo` is not used: it panics on attribute types that the SDK does not know, and would
//! only replace [`to_json`] and [`from_json`]. Bytes cannot pass through serde here, so an envelope
//! cannot end up in text.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::identity::{Organization, StoredToken, User, Workspace};
use domain::owner::SecretOwner;
use domain::{Error, Result, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::keys::{Key, owner_of_secrets};

/// The attributes of a row.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// The attributes of a type. `None` means that the row must not have the attribute.
pub(crate) type Fields = BTreeMap<String, Option<AttributeValue>>;

/// A row as read from the table.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row(pub(crate) Attributes);

/// A type that is stored as a row.
pub(crate) trait FromRow: Sized {
    fn from_row(row: Row) -> Result<Self>;
}

/// Implements [`FromRow`] for types that need nothing from the row's key.
macro_rules! read_by_attributes {
    ($($type:ty),+) => {
        $(impl FromRow for $type {
            fn from_row(row: Row) -> Result<Self> {
                row.read()
            }
        })+
    };
}

read_by_attributes!(Organization, StoredToken, User, Workspace);

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

/// A time with a precision of seconds, so that times compare as text.
pub(crate) fn second(at: Timestamp) -> AttributeValue {
    s(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

impl Row {
    /// Deserializes the attributes.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T> {
        serde_json::from_value(object(self.0)).map_err(|_| corrupt(std::any::type_name::<T>()))
    }

    /// One attribute, if present.
    pub(crate) fn some_field<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>> {
        let value = self.0.get(name).cloned().map_or(Value::Null, to_json);
        serde_json::from_value(value).map_err(|_| corrupt(name))
    }

    /// One attribute.
    pub(crate) fn field<T: DeserializeOwned>(&self, name: &'static str) -> Result<T> {
        self.some_field(name)?.ok_or_else(|| corrupt(name))
    }

    pub(crate) fn bytes(&self, name: &'static str) -> Result<&[u8]> {
        self.0.get(name).and_then(|value| value.as_b().ok()).map(AsRef::as_ref).ok_or_else(|| corrupt(name))
    }

    /// The scope of the secrets in the row's partition.
    pub(crate) fn owner_of_secrets(&self) -> Result<SecretOwner> {
        let pk: String = self.field("pk")?;
        owner_of_secrets(&pk).ok_or_else(|| corrupt("pk"))
    }

    /// The id after the first `#` of the sort key.
    pub(crate) fn id<T: std::str::FromStr>(&self) -> Result<T> {
        let sk: String = self.field("sk")?;
        sk.split_once('#').and_then(|(_, id)| id.parse().ok()).ok_or_else(|| corrupt("sk"))
    }
}

/// The error for a corrupt row. Only the name of the attribute or type is logged, never the value.
pub(crate) fn corrupt(what: &'static str) -> Error {
    tracing::error!(attribute = what, "corrupt row: an attribute is missing or cannot be read");
    Error::bug("a row of the table is corrupt")
}

/// Serializes a value to attributes.
pub(crate) fn fields(value: &impl Serialize) -> Result<Fields> {
    let Ok(Value::Object(object)) = serde_json::to_value(value) else {
        return Err(Error::bug("a row's type does not serialize to an object"));
    };
    Ok(object.into_iter().map(|(name, value)| (name, from_json(value))).collect())
}

/// Serializes a value to one attribute.
pub(crate) fn attribute(value: &impl Serialize) -> Result<AttributeValue> {
    let value = serde_json::to_value(value).ok().and_then(from_json);
    value.ok_or(Error::bug("a row's type serializes to null"))
}

impl Key {
    /// The row with this key and these fields.
    pub(crate) fn row(self, fields: Fields) -> Attributes {
        let mut row = self.attributes();
        row.extend(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        row
    }

    /// The row with this key and these attributes.
    pub(crate) fn with<const N: usize>(self, attributes: [(&str, AttributeValue); N]) -> Attributes {
        let mut row = self.attributes();
        row.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
        row
    }
}

fn from_json(value: Value) -> Option<AttributeValue> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => AttributeValue::Bool(flag),
        Value::Number(number) => n(number),
        Value::String(text) => s(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().filter_map(from_json).collect()),
        Value::Object(object) => AttributeValue::M(
            object.into_iter().filter_map(|(name, value)| Some((name, from_json(value)?))).collect(),
        ),
    })
}

fn to_json(value: AttributeValue) -> Value {
    match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::N(text) => text.parse().map_or_else(|_| unreadable(), Value::Number),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(values) => values.into_iter().map(to_json).collect(),
        AttributeValue::M(object) => self::object(object),
        _ => unreadable(),
    }
}

/// Omits null attributes: they mean the same as missing ones.
fn object(attributes: Attributes) -> Value {
    let attributes = attributes.into_iter().map(|(name, value)| (name, to_json(value)));
    Value::Object(attributes.filter(|(_, value)| !value.is_null()).collect())
}

/// Represents what JSON cannot hold: bytes, sets, and types that the SDK does not know. No field
/// can be read from it, whereas null would count as a missing attribute.
fn unreadable() -> Value {
    Value::Object(Map::new())
}

/// Whether the row has this attribute with this value.
#[cfg(test)]
pub(crate) fn holds(row: &Row, name: &str, value: &AttributeValue) -> bool {
    row.0.get(name) == Some(value)
}

#[cfg(test)]
mod tests;
