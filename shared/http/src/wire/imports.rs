//! Imports: a JSON map, or the lines of a `.env` file. Nothing is evaluated, and no error shows a value.

use domain::name::SecretName;
use domain::settings::Settings;
use domain::use_cases::create_secrets::{Draft, MAX_IN_IMPORT};
use domain::value::SecretValue;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::fields::{self, Fields};
use crate::problem::Problem;

/// `POST /pipeline-secrets/import`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    secrets: Vec<ImportedSecret>,
    total_size: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportedSecret {
    name: String,
    secret_id: i64,
}

impl Imported {
    /// Names and ids, in the import's order.
    #[must_use]
    pub fn new(drafts: &[Draft], ids: &[domain::ids::SecretId]) -> Self {
        let secrets: Vec<_> = drafts
            .iter()
            .zip(ids)
            .map(|(draft, id)| ImportedSecret { name: draft.name.to_string(), secret_id: id.number() })
            .collect();
        Self { total_size: secrets.len(), secrets }
    }
}

/// Reads a JSON map of names to values.
pub fn from_json(fields: &Fields<'_>, settings: &Settings) -> Result<Vec<Draft>, Problem> {
    let mut drafts = Vec::new();
    for (position, (name, value)) in fields.iter().enumerate() {
        limit(drafts.len())?;
        let place = format!("Entry {}", position + 1);
        let value = fields::text("value", value)
            .map_err(|_| Problem::bad_request(format!("{place}: the value must be a valid JSON string.")))?;
        drafts.push(draft(&place, name, value, settings)?);
    }
    Ok(drafts)
}

/// Reads the lines of a `.env` file: `NAME=value`, optionally behind `export`; `#` begins a comment line; a value may
/// stand in single quotes (taken as it is) or double quotes (where `\n`, `\"`, `\\` and `\$` are read), both on one
/// line; otherwise it is the rest of the line without the blanks around it. Nothing is evaluated.
pub fn from_dotenv(text: &str, settings: &Settings) -> Result<Vec<Draft>, Problem> {
    let mut drafts = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let place = format!("Line {}", index + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        limit(drafts.len())?;
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| Problem::bad_request(format!("{place}: it takes the form NAME=value.")))?;
        let value = unquote(value.trim()).ok_or_else(|| {
            Problem::bad_request(format!("{place}: the quotes around the value do not match."))
        })?;
        drafts.push(draft(&place, name.trim_end(), value, settings)?);
    }
    Ok(drafts)
}

/// 10,000 lines are refused at the 33rd, not read to the end.
fn limit(read: usize) -> Result<(), Problem> {
    match read < MAX_IN_IMPORT {
        true => Ok(()),
        false => {
            Err(Problem::bad_request(format!("An import takes at most {MAX_IN_IMPORT} secrets: split it.")))
        }
    }
}

fn draft(place: &str, name: &str, value: Zeroizing<String>, settings: &Settings) -> Result<Draft, Problem> {
    let placed = |error: domain::Error| {
        let problem = Problem::from(error);
        Problem::new(problem.status(), format!("{place}: {}", problem.message()))
    };
    Ok(Draft {
        name: SecretName::new(name, settings).map_err(placed)?,
        value: SecretValue::new(value).map_err(placed)?,
        description: None,
        expires: None,
    })
}

fn unquote(value: &str) -> Option<Zeroizing<String>> {
    let quote = value.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let Some(quote) = quote else {
        return Some(Zeroizing::new(value.to_owned()));
    };
    let inner = value.get(1..value.len() - 1).filter(|_| value.len() > 1 && value.ends_with(quote))?;
    if quote == '\'' {
        return (!inner.contains('\'')).then(|| Zeroizing::new(inner.to_owned()));
    }
    let mut read = Zeroizing::new(String::with_capacity(inner.len()));
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => match characters.next()? {
                'n' => read.push('\n'),
                escaped @ ('"' | '\\' | '$') => read.push(escaped),
                other => {
                    read.push('\\');
                    read.push(other);
                }
            },
            other => read.push(other),
        }
    }
    Some(read)
}

#[cfg(test)]
mod tests;
