//! Imports from the lines of a `.env` file. Programs read these files differently, so a line is
//! accepted only if it has one meaning: compose-go, `docker run --env-file`, Node.js
//! (`--env-file` and the package `dotenv`) and python-dotenv agree on the value. `tests/dotenv/`
//! holds what these programs read, and the tests compare it with this reader.

use domain::settings::Settings;
use domain::use_cases::create_secrets::{Draft, MAX_IN_IMPORT};
use domain::value::SecretValue;
use zeroize::Zeroizing;

use super::{draft, too_many};
use crate::problem::Problem;

const COMMENT: &str = "the value contains a comment or a # after a blank: put the value in quotes if # belongs \
                       to it, or move the comment to its own line.";
const BLANKS: &str = "the value begins or ends with a blank: remove the blanks around the value, or put the value \
                      in quotes if they belong to it.";
const EXPANDED: &str = "programs differ in how they read $ or ` here: put the value in single quotes.";
const ESCAPE: &str = "an escape without quotes has no meaning: put the value in double quotes if \\n means a line \
                      break, or in single quotes if it means a backslash and a letter.";
const ESCAPE_IN_DOUBLE: &str = "programs differ in how they read this escape: in double quotes, use no escape but \
                                \\n. Put the value in single quotes, or import it as JSON.";
const UNSUPPORTED_IN_SINGLE: &str = "programs differ in how they read \\\\, \\' and ${ in single quotes: import \
                                     the value as JSON.";
const UNCLOSED: &str = "the quotes around the value do not match: add the closing quote, or put a value that \
                        begins with a quote in quotes of the other kind.";
const AFTER_QUOTE: &str = "the closing quote is followed by text: end the line after the quote, or put a value that \
                           contains quotes in quotes of the other kind.";
const WINDOWS_LINES: &str = "a value of several lines in a file with Windows line endings has no single meaning: \
                             save the file with LF line endings.";
const TAB: &str = "the line begins with a tab, which some programs read as a part of a name: remove it.";
const BLANKS_BEFORE: &str = "a tab or a second blank stands beside the name: use one space after export, and no blanks around the name.";

/// Reads `NAME=value` lines, optionally preceded by `export`. A line that begins with `#` is a
/// comment. A value in quotes can span several lines. Nothing is evaluated except `\n` in double
/// quotes.
///
/// A `#` inside a word belongs to the value, as in Docker, Python and shells. Node.js ends the
/// value there, so a file that is used with Node.js has quotes around such a value.
pub fn from_dotenv(text: &str, settings: &Settings) -> Result<Vec<Draft>, Problem> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_characters(rest)?;
    let mut entries: Vec<(usize, Draft)> = Vec::new();
    let mut number = 1;
    while !rest.is_empty() {
        let (line, next) = split_line(rest);
        let content = line.trim();
        let place = format!("Line {number}");
        let refuse = |message: &str| Problem::bad_request(format!("{place}: {message}"));
        if content.is_empty() || content.starts_with('#') {
            if line.trim_start_matches(' ').starts_with(char::is_whitespace) {
                return Err(refuse(TAB));
            }
            (rest, number) = (next, number + 1);
            continue;
        }
        // Stops at the 33rd secret: the rest of a long file is not read.
        if entries.len() == MAX_IN_IMPORT {
            return Err(too_many());
        }
        let Some((key, after)) = line.split_once('=') else {
            return Err(refuse(no_assignment(content)));
        };
        let name = name(key).map_err(refuse)?;
        let value = after.trim_start_matches(' ');
        let (value, lines, next) = match value.chars().next().filter(|first| matches!(first, '\'' | '"')) {
            Some(quote) => {
                let quoted = &rest[line.len() - value.len() + 1..];
                let (inner, after) = quoted.split_once(quote).ok_or_else(|| refuse(UNCLOSED))?;
                let value = unquote(inner, quote).map_err(refuse)?;
                let (after, next) = split_line(after);
                comment_or_nothing(after).map_err(refuse)?;
                (value, 1 + inner.matches('\n').count(), next)
            }
            None => (Zeroizing::new(unquoted(after).map_err(refuse)?.to_owned()), 1, next),
        };
        let draft = draft(&place, name, SecretValue::new(value), settings)?;
        if let Some((first, _)) = entries.iter().find(|(_, other)| other.name == draft.name) {
            let message = format!("the name is already on line {first}: remove one of the two lines.");
            return Err(refuse(&message));
        }
        entries.push((number, draft));
        (rest, number) = (next, number + lines);
    }
    Ok(entries.into_iter().map(|(_, draft)| draft).collect())
}

/// Splits off the first line, without its LF or CR LF.
fn split_line(text: &str) -> (&str, &str) {
    match text.split_once('\n') {
        Some((line, next)) => (line.strip_suffix('\r').unwrap_or(line), next),
        None => (text, ""),
    }
}

/// Refuses characters that end a line, or are ignored, in some programs only.
fn check_characters(text: &str) -> Result<(), Problem> {
    let mut rest = text;
    let mut number = 1;
    while !rest.is_empty() {
        let (line, next) = split_line(rest);
        let strange =
            |c: char| c.is_control() && c != '\t' || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
        if let Some(character) = line.chars().find(|character| strange(*character)) {
            let problem = match character {
                '\r' => {
                    "a carriage return is not at the end of a line: save the file with LF or CR LF line endings."
                }
                '\0' => "a NUL character is not text: save the file as UTF-8.",
                _ => {
                    "a control character or line separator is not supported: remove it, or import the value as JSON."
                }
            };
            return Err(Problem::bad_request(format!("Line {number}: {problem}")));
        }
        (rest, number) = (next, number + 1);
    }
    Ok(())
}

fn no_assignment(content: &str) -> &'static str {
    match content {
        json if json.starts_with('{') => {
            "it is JSON and not NAME=value: send a JSON map with Content-Type: application/json."
        }
        yaml if yaml.contains(':') => "it must have the form NAME=value: write = and not a colon.",
        _ => "it must have the form NAME=value. Put a value of several lines in quotes.",
    }
}

/// Returns the name before the equals sign, still unchecked.
fn name(key: &str) -> Result<&str, &'static str> {
    let key = key.trim_start_matches(' ');
    let name = key.strip_prefix("export ").unwrap_or(key);
    match name.trim_end_matches(' ') {
        _ if key.chars().any(|c| c != ' ' && c.is_whitespace()) => Err(BLANKS_BEFORE),
        name if name.starts_with(' ') => Err(BLANKS_BEFORE),
        name => Ok(name),
    }
}

/// Checks a value without quotes.
fn unquoted(text: &str) -> Result<&str, &'static str> {
    let value = text.trim();
    let mut characters = value.chars().peekable();
    let mut previous = ' ';
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('#', _) if previous.is_whitespace() => return Err(COMMENT),
            ('$' | '`', _) => return Err(EXPANDED),
            ('\\', None | Some('n' | 'r' | 't')) => return Err(ESCAPE),
            _ => previous = character,
        }
    }
    match value.len() == text.len() || value.is_empty() {
        true => Ok(value),
        false => Err(BLANKS),
    }
}

/// Reads the text between quotes.
fn unquote(inner: &str, quote: char) -> Result<Zeroizing<String>, &'static str> {
    if inner.contains('\r') {
        return Err(WINDOWS_LINES);
    }
    if quote == '\'' {
        return match inner.ends_with('\\') || inner.contains("\\\\") || inner.contains("${") {
            true => Err(UNSUPPORTED_IN_SINGLE),
            false => Ok(Zeroizing::new(inner.to_owned())),
        };
    }
    let mut read = Zeroizing::new(String::with_capacity(inner.len()));
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next() == Some('n') => read.push('\n'),
            '\\' => return Err(ESCAPE_IN_DOUBLE),
            '$' | '`' => return Err(EXPANDED),
            other => read.push(other),
        }
    }
    Ok(read)
}

/// Checks the rest of a line after a closing quote.
fn comment_or_nothing(after: &str) -> Result<(), &'static str> {
    let after = after.trim_matches(' ');
    match after.is_empty() || (after.starts_with('#') && !after.contains(['\'', '"', '`'])) {
        true => Ok(()),
        false => Err(AFTER_QUOTE),
    }
}

#[cfg(test)]
mod tests;
