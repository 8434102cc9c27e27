//! Reads the table for a trial: rows as plain JSON, runs with their lifecycles, the audit trail.

use domain::run::Lifecycle;
use serde_json::{Map, Value};

use support::Database;

/// A row's attributes as plain JSON, with bytes as base64.
#[derive(Clone, PartialEq, Debug)]
pub struct Row(pub Value);

impl Row {
    /// Returns a text attribute, or an empty string.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// Returns a number attribute, or 0.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_default()
    }

    /// Whether the row is of a run in an environment.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        !self.0["target"].is_null()
    }

    /// Returns a run's lifecycle.
    ///
    /// # Panics
    ///
    /// If the row is not a run.
    #[must_use]
    pub fn lifecycle(&self) -> Lifecycle {
        serde_json::from_value(self.0.clone()).expect("a run's row holds a lifecycle")
    }
}

/// Returns every row.
#[must_use]
pub fn rows(database: &Database) -> Vec<Row> {
    database.rows().iter().map(|row| Row(plain_object(row))).collect()
}

/// Returns the runs as ids with rows.
#[must_use]
pub fn runs(rows: &[Row]) -> Vec<(&str, &Row)> {
    rows.iter().filter_map(|row| Some((row.text("pk").strip_prefix("RUN#")?, row))).collect()
}

/// Returns the run with this id.
#[must_use]
pub fn run<'a>(rows: &'a [Row], id: &str) -> Option<&'a Row> {
    runs(rows).into_iter().find(|(run, _)| *run == id).map(|(_, row)| row)
}

/// Returns the audit records.
pub fn audit(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.text("pk").starts_with("AUDIT#"))
}

/// Returns the subjects of an audit record.
pub fn subjects(record: &Row) -> impl Iterator<Item = Row> {
    record.0["subjects"].as_array().into_iter().flatten().cloned().map(Row)
}

/// Returns the number of audit records with this action, optionally of one run.
#[must_use]
pub fn audits(rows: &[Row], action: &str, run: Option<&str>) -> usize {
    audit(rows)
        .filter(|row| row.text("action") == action && run.is_none_or(|run| row.text("run") == run))
        .count()
}

/// Returns the rows in a scope whose sort keys start with this prefix.
pub fn kind<'a>(rows: &'a [Row], scope: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(move |row| row.text("pk") == scope && row.text("sk").starts_with(prefix))
}

fn plain_object(row: &Value) -> Value {
    let object = row.as_object().into_iter().flatten();
    Value::Object(object.map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>())
}

fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else {
        return Value::Null;
    };
    match kind.as_str() {
        "N" => inner.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        "L" => Value::Array(inner.as_array().into_iter().flatten().map(plain).collect()),
        "M" => plain_object(inner),
        "NULL" => Value::Null,
        _ => inner.clone(),
    }
}
