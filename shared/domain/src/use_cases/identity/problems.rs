//! Reads a document field by field. It collects every problem with its place, and continues.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::identity::fold;
use crate::{Error, Result};

/// The problems of a document.
#[derive(Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    /// Adds a problem at a place.
    pub(super) fn add(&mut self, place: &str, what: &str) {
        if place.is_empty() {
            self.0.push(what.to_owned());
        } else {
            self.0.push(format!("{place}: {what}"));
        }
    }

    /// Returns [`Error::Invalid`] with the problems, if there are any.
    pub(super) fn into_result(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (shown, rest) = self.0.split_at(self.0.len().min(MAX_SHOWN));
        let mut text = format!("{NOTHING_CHANGED} The document has {} problem(s):", self.0.len());
        for problem in shown {
            text.push('\n');
            text.push_str(problem);
        }
        if !rest.is_empty() {
            text.push_str("\n…");
        }
        Err(Error::Invalid(text))
    }
}

/// The fields of a JSON object, and its place in the document.
pub(super) struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    place: &'a str,
}

impl<'a> Fields<'a> {
    /// Reads the fields of an object. Adds a problem if the value is not an object.
    pub(super) fn of(json: &'a Value, place: &'a str, known: &[&str], problems: &mut Problems) -> Self {
        let map = json.as_object();
        match map {
            None => problems.add(place, "it must be a JSON object."),
            Some(map) if map.keys().any(|key| !known.contains(&key.as_str())) => {
                problems.add(place, &format!("it can have only the fields {}.", known.join(", ")));
            }
            Some(_) => {}
        }
        Self { map, place }
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn path(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// Reads a required text with `read`.
    pub(super) fn read<T>(
        &self,
        name: &str,
        problems: &mut Problems,
        read: impl FnOnce(&str) -> std::result::Result<T, String>,
    ) -> Option<T> {
        let text = self.value(name).and_then(Value::as_str);
        let outcome = text.ok_or_else(|| "it is required, as a JSON string.".to_owned()).and_then(read);
        // A missing object was already reported.
        if let (Err(rule), Some(_)) = (&outcome, self.map) {
            problems.add(&self.path(name), rule);
        }
        outcome.ok()
    }

    /// Reads a required text, and returns it even if it breaks the rule.
    pub(super) fn text(
        &self,
        name: &str,
        problems: &mut Problems,
        check: impl FnOnce(&str) -> std::result::Result<(), String>,
    ) -> String {
        self.read(name, problems, check);
        self.value(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> bool {
        self.value(name).is_some_and(|value| {
            value.as_bool().unwrap_or_else(|| {
                problems.add(&self.path(name), "it must be true or false.");
                false
            })
        })
    }

    pub(super) fn list<T>(
        &self,
        name: &str,
        problems: &mut Problems,
        read: impl Fn(&Value, &str, &mut Problems) -> T,
    ) -> Vec<T> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let path = self.path(name);
        match value.as_array() {
            Some(items) if items.len() <= MAX_LIST => items
                .iter()
                .enumerate()
                .map(|(index, item)| read(item, &format!("{path}[{index}]"), problems))
                .collect(),
            Some(_) => {
                problems.add(&path, &format!("it can have at most {MAX_LIST} entries: split the document."));
                Vec::new()
            }
            None => {
                problems.add(&path, "it must be a JSON array.");
                Vec::new()
            }
        }
    }
}

/// Compares names case-insensitively.
pub(super) fn reject_duplicates<'a>(
    list: &str,
    field: &str,
    names: impl Iterator<Item = &'a String>,
    problems: &mut Problems,
) {
    let mut seen = HashMap::new();
    for (index, name) in names.enumerate() {
        if name.is_empty() {
            continue;
        }
        if let Some(first) = seen.insert(fold(name), index) {
            let place = format!("{list}[{index}].{field}");
            problems.add(&place, &format!("it is the same as in {list}[{first}] (case-insensitive)."));
        }
    }
}

/// The start of the message with the problems, which are found before anything is written.
pub(super) const NOTHING_CHANGED: &str = "Nothing was changed.";
/// The maximum number of problems in a message.
const MAX_SHOWN: usize = 100;
/// The maximum number of users, workspaces and tokens in a document, and of participants in a
/// workspace: what one invocation can process in time.
const MAX_LIST: usize = 500;

#[cfg(test)]
mod tests;
