//! Reads JSON bodies into wire types. An error names the field or the position, in sentences of
//! this module: serde's messages quote the input (ADR 14).

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::de::value::{Error as NoInput, MapAccessDeserializer};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};
use zeroize::Zeroizing;

use crate::operation::UnknownNames;
use crate::problem::Problem;

/// Reads a JSON object. A 400 error names the invalid field, or the position where the body is not
/// JSON.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    present(text)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let Object(body) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let fields = field_names::<T>();
        let field = field(error.path(), fields);
        // Reading stops at an invalid field. An error in the JSON syntax after it is reported
        // first.
        match (error.inner().classify(), serde_json::from_str::<IgnoredAny>(text)) {
            (Category::Data, Ok(_)) => explain(error.inner(), field, fields),
            (Category::Data, Err(error)) => malformed(&error, None),
            _ => malformed(error.inner(), field),
        }
    })?;
    json.end().map_err(|error| malformed(&error, None))?;
    Ok(body)
}

/// Refuses unknown names of fields in a body that [`parse`] accepted.
#[expect(clippy::zero_sized_map_values, reason = "serde reads an object as a map")]
pub(crate) fn check_fields<T: DeserializeOwned>(text: &str, unknown: UnknownNames) -> Result<(), Problem> {
    let Ok(fields) = serde_json::from_str::<BTreeMap<Cow<'_, str>, IgnoredAny>>(text) else {
        return Ok(());
    };
    let known = [field_names::<T>(), &["workspaceId"]].concat();
    fields.keys().try_for_each(|name| check_name("field", name, &known, unknown))
}

/// Refuses an unknown name of a field or query parameter. The error contains the closest known
/// name.
pub(crate) fn check_name(
    kind: &str,
    name: &str,
    known: &[&str],
    unknown: UnknownNames,
) -> Result<(), Problem> {
    let refused = match unknown {
        _ if known.contains(&name) => false,
        UnknownNames::Refused => true,
        UnknownNames::SimilarRefused => known.iter().any(|known| letters(known) == letters(name)),
        UnknownNames::Ignored => false,
    };
    if !refused {
        return Ok(());
    }
    // A name that does not look like one can be a value in the wrong place.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let shown = match name.len() <= 40 && name.chars().all(plain) {
        true => format!(" `{name}`"),
        false => String::new(),
    };
    let closest = known.iter().min_by_key(|known| distance(&letters(known), &letters(name)));
    Err(Problem::bad_request(match closest {
        Some(closest) => format!("Unknown {kind}{shown}: remove it, or write `{closest}` if you mean that."),
        None => format!("Unknown {kind}{shown}: remove it."),
    }))
}

/// Returns a name without case and punctuation.
pub(crate) fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The number of characters to insert, remove or replace (Levenshtein), of the first 40.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, character) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (at, against) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *against);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

/// A JSON object. A derived `Deserialize` would also accept a list of the fields.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Object)
    }
}

/// Reads a field for which null and absent differ: null becomes `Some(None)`.
#[expect(clippy::option_option, reason = "absent, null and a value mean different things")]
pub(crate) fn nullable<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// A field of a wire type, and the index in its list.
type Field = (&'static str, Option<usize>);

/// Returns the field where reading stopped. Returns only fields of the type: any other name is text
/// of the client.
fn field(path: &Path, fields: &[&'static str]) -> Option<Field> {
    let mut segments = path.iter();
    let Segment::Map { key } = segments.next()? else {
        return None;
    };
    let name = fields.iter().find(|name| *name == key)?;
    let index = match segments.next() {
        Some(Segment::Seq { index }) => Some(*index),
        _ => None,
    };
    Some((name, index))
}

/// Describes the error in a body that is valid JSON.
fn explain(error: &serde_json::Error, field: Option<Field>, fields: &[&'static str]) -> Problem {
    // This text can quote the input: it is only compared, never shown.
    let text = Zeroizing::new(error.to_string());
    let begins = |prefix: &str| {
        let name = text.strip_prefix(prefix)?.split('`').next()?;
        fields.iter().find(|field| **field == name)
    };
    Problem::bad_request(match (field, begins("missing field `"), begins("duplicate field `")) {
        (Some(field), ..) => format!("{} must be {}.", in_words(field), expected(&text)),
        (None, Some(name), _) => format!("`{name}` is missing."),
        (None, None, Some(name)) => format!("Malformed body: `{name}` appears more than once."),
        (None, None, None) => "Malformed body: it must be a JSON object.".to_owned(),
    })
}

/// Returns the expected type of a field, from the end of serde's message.
fn expected(text: &str) -> &'static str {
    let tail = text.rsplit_once(", expected ").map_or("", |(_, tail)| tail);
    match tail.split(" at line ").next() {
        Some("a string") => "a JSON string",
        Some("i64") => "a whole number",
        Some("a boolean") => "true or false",
        Some("a sequence") => "a list",
        Some("an object") => "a JSON object",
        _ => "of a different type",
    }
}

fn in_words((name, index): Field) -> String {
    match index {
        Some(index) => format!("`{name}[{index}]`"),
        None => format!("`{name}`"),
    }
}

/// Rejects a body that is empty or blank.
pub(crate) fn present(text: &str) -> Result<(), Problem> {
    match text.trim_ascii().is_empty() {
        true => Err(Problem::bad_request("The body is missing: it must be a JSON object.")),
        false => Ok(()),
    }
}

/// Reports the position at which a body is not JSON.
pub(crate) fn malformed(error: &serde_json::Error, field: Option<Field>) -> Problem {
    let place = field.map(|field| format!(", in {}", in_words(field))).unwrap_or_default();
    let (line, column) = (error.line(), error.column());
    Problem::bad_request(format!(
        "Malformed body: it is not valid JSON at line {line}, column {column}{place}."
    ))
}

/// Returns the names of a type's fields, from its derived `Deserialize`.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Names<'a>(&'a Cell<&'static [&'static str]>);
    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = NoInput;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoInput> {
            Err(NoInput::custom("no input"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, NoInput> {
            self.0.set(fields);
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let names = Cell::new(&[][..]);
    let _ = T::deserialize(Names(&names));
    names.get()
}

#[cfg(test)]
mod tests;
