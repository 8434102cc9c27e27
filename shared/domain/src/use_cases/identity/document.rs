//! What an operator declares, read from JSON with every problem found at once.
//!
//! Unknown fields are problems too: a field that is misspelt in a document like this one takes rights away or leaves
//! them in place.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::platform::Platform;
use crate::role::Role;
use crate::use_cases::authenticate::LOGIN_NAME_PREFIX;
use crate::{Error, Result};

/// A declaration of organizations, workspaces, participants, users and tokens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Document {
    /// Organizations that are to exist.
    pub organizations: Vec<DeclaredOrganization>,
    /// Users who are to exist.
    pub users: Vec<DeclaredUser>,
    /// Whether participants who are not declared leave the workspaces that are.
    pub prune: bool,
}

/// An organization that is to exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredOrganization {
    /// Its short name.
    pub name: String,
    /// Its workspaces: one or more.
    pub workspaces: Vec<DeclaredWorkspace>,
}

/// A workspace that is to exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredWorkspace {
    /// Its short name.
    pub name: String,
    /// Its name for people; the short one for a new workspace that declares none.
    pub full_name: Option<String>,
    /// The platforms that a launch may name; AWS Batch alone for a new workspace that declares none.
    pub platforms: Option<Vec<Platform>>,
    /// Who takes part.
    pub participants: Vec<DeclaredParticipant>,
}

/// A user's place in a workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredParticipant {
    /// The user's name: one of the document or one who exists.
    pub user: String,
    /// As what.
    pub role: Role,
}

/// A user who is to exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredUser {
    /// Unique in the deployment.
    pub user_name: String,
    /// Unique in the deployment.
    pub email: String,
    /// Tokens that are to exist, or not to exist any more.
    pub tokens: Vec<DeclaredToken>,
}

/// A personal access token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredToken {
    /// Unique among the user's own.
    pub name: String,
    /// After this it is refused.
    pub expires: Option<Timestamp>,
    /// Whether it is to be gone, rather than there.
    pub revoked: bool,
}

impl Document {
    /// Reads a document; [`Error::Invalid`] names every problem, one a line, each with its place.
    pub fn parse(json: &Value) -> Result<Self> {
        let mut problems = Problems::default();
        let document = read_document(json, &mut problems);
        problems.into_result()?;
        Ok(document)
    }
}

/// What is wrong with a document: all of it.
#[derive(Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    /// Notes a problem at a place.
    pub(super) fn add(&mut self, place: &str, what: &str) {
        if place.is_empty() {
            self.0.push(what.to_owned());
        } else {
            self.0.push(format!("{place}: {what}"));
        }
    }

    /// [`Error::Invalid`] with the problems, where there are any.
    pub(super) fn into_result(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (shown, rest) = self.0.split_at(self.0.len().min(MAX_SHOWN));
        let mut text = format!("Nothing was changed. The document has {} problem(s):", self.0.len());
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

/// Problems that one answer shows.
const MAX_SHOWN: usize = 100;
/// Users, workspaces and tokens in a document, each at most, and participants in a workspace: what the time of one
/// invocation holds.
const MAX_LIST: usize = 500;

fn read_document(json: &Value, problems: &mut Problems) -> Document {
    let Some(fields) = Fields::of(json, "", &["organizations", "users", "prune"], problems) else {
        return Document::default();
    };
    let document = Document {
        organizations: fields.list("organizations", problems, read_organization),
        users: fields.list("users", problems, read_user),
        prune: fields.flag("prune", problems),
    };
    refuse_twins("organizations", "name", document.organizations.iter().map(|it| &it.name), problems);
    refuse_twins("users", "userName", document.users.iter().map(|it| &it.user_name), problems);
    refuse_twins("users", "email", document.users.iter().map(|it| &it.email), problems);
    document
}

fn read_organization(json: &Value, place: &str, problems: &mut Problems) -> DeclaredOrganization {
    let fields = Fields::of_or_empty(json, place, &["name", "workspaces"], problems);
    let workspaces = fields.list("workspaces", problems, read_workspace);
    if workspaces.is_empty() {
        problems.add(place, "an organization takes one workspace or more.");
    }
    let names = workspaces.iter().map(|it: &DeclaredWorkspace| &it.name);
    refuse_twins(&format!("{place}.workspaces"), "name", names, problems);
    DeclaredOrganization { name: fields.text("name", problems, check_name), workspaces }
}

fn read_workspace(json: &Value, place: &str, problems: &mut Problems) -> DeclaredWorkspace {
    let known = ["name", "fullName", "platforms", "participants"];
    let fields = Fields::of_or_empty(json, place, &known, problems);
    let participants = fields.list("participants", problems, read_participant);
    let users = participants.iter().map(|it: &DeclaredParticipant| &it.user);
    refuse_twins(&format!("{place}.participants"), "user", users, problems);
    let platforms = fields.has("platforms").then(|| {
        let mut platforms = fields.list("platforms", problems, read_platform);
        platforms.sort_unstable();
        platforms.dedup();
        platforms
    });
    DeclaredWorkspace {
        name: fields.text("name", problems, check_name),
        full_name: fields
            .has("fullName")
            .then(|| fields.text("fullName", problems, |text| check_text(text, 100))),
        platforms,
        participants,
    }
}

fn read_platform(json: &Value, place: &str, problems: &mut Problems) -> Platform {
    let platform = json.as_str().unwrap_or_default().parse();
    platform.unwrap_or_else(|error: Error| {
        problems.add(place, &error.to_string());
        Platform::AwsBatch
    })
}

fn read_participant(json: &Value, place: &str, problems: &mut Problems) -> DeclaredParticipant {
    let fields = Fields::of_or_empty(json, place, &["user", "role"], problems);
    let role = fields
        .text("role", problems, |text| text.parse::<Role>().map(drop).map_err(|error| format!("{error}.")));
    DeclaredParticipant {
        user: fields.text("user", problems, check_name),
        role: role.parse().unwrap_or(Role::View),
    }
}

fn read_user(json: &Value, place: &str, problems: &mut Problems) -> DeclaredUser {
    let fields = Fields::of_or_empty(json, place, &["userName", "email", "tokens"], problems);
    let tokens = fields.list("tokens", problems, read_token);
    let names = tokens.iter().map(|it: &DeclaredToken| &it.name);
    refuse_twins(&format!("{place}.tokens"), "name", names, problems);
    DeclaredUser {
        user_name: fields.text("userName", problems, check_user_name),
        email: fields.text("email", problems, check_email),
        tokens,
    }
}

fn read_token(json: &Value, place: &str, problems: &mut Problems) -> DeclaredToken {
    let fields = Fields::of_or_empty(json, place, &["name", "expires", "revoked"], problems);
    let expires = fields.has("expires").then(|| {
        let rule = "it takes a time such as 2030-01-31T00:00:00Z.";
        let text = fields.text("expires", problems, |text| {
            text.parse::<Timestamp>().map(drop).map_err(|_| rule.to_owned())
        });
        text.parse().ok()
    });
    DeclaredToken {
        name: fields.text("name", problems, check_token_name),
        expires: expires.flatten(),
        revoked: fields.flag("revoked", problems),
    }
}

/// The fields of one JSON object, and its place in the document.
struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    place: &'a str,
}

impl<'a> Fields<'a> {
    fn of(json: &'a Value, place: &'a str, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let Some(map) = json.as_object() else {
            problems.add(place, "it must be a JSON object.");
            return None;
        };
        if map.keys().any(|key| !known.contains(&key.as_str())) {
            problems.add(place, &format!("it may have the fields {} only.", known.join(", ")));
        }
        Some(Self { map: Some(map), place })
    }

    fn of_or_empty(json: &'a Value, place: &'a str, known: &[&str], problems: &mut Problems) -> Self {
        Self::of(json, place, known, problems).unwrap_or(Self { map: None, place })
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn path(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    fn text(
        &self,
        name: &str,
        problems: &mut Problems,
        check: impl FnOnce(&str) -> std::result::Result<(), String>,
    ) -> String {
        let text = self.value(name).and_then(Value::as_str);
        let checked = text.map_or_else(|| Err("it must be there, as a JSON string.".to_owned()), check);
        match (self.map, checked) {
            // An object that is none was noted as such.
            (Some(_), Err(rule)) => problems.add(&self.path(name), &rule),
            (None, _) | (_, Ok(())) => {}
        }
        text.unwrap_or_default().to_owned()
    }

    fn flag(&self, name: &str, problems: &mut Problems) -> bool {
        self.value(name).is_some_and(|value| {
            value.as_bool().unwrap_or_else(|| {
                problems.add(&self.path(name), "it must be true or false.");
                false
            })
        })
    }

    fn list<T>(
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
                problems.add(&path, &format!("it may have at most {MAX_LIST} entries: split the document."));
                Vec::new()
            }
            None => {
                problems.add(&path, "it must be a JSON array.");
                Vec::new()
            }
        }
    }
}

/// Names that differ only by case count as one.
fn refuse_twins<'a>(
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
            problems.add(&place, &format!("it is the same as in {list}[{first}]; case does not count."));
        }
    }
}

/// The form under which names and addresses that differ only by case are one.
#[must_use]
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// The rule of names of users, organizations and workspaces.
fn check_name(text: &str) -> std::result::Result<(), String> {
    let bytes = text.as_bytes();
    let shaped = (1..=40).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b));
    if shaped {
        return Ok(());
    }
    Err("it takes 1 to 40 letters, digits, '.', '_' and '-', the first a letter or a digit.".into())
}

fn check_user_name(text: &str) -> std::result::Result<(), String> {
    check_name(text)?;
    if fold(text).starts_with(LOGIN_NAME_PREFIX) {
        return Err(format!("names that begin with {LOGIN_NAME_PREFIX} are those of logins."));
    }
    Ok(())
}

fn check_email(text: &str) -> std::result::Result<(), String> {
    let parts = text.rsplit_once('@');
    let shaped = text.len() <= 254
        && parts.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if shaped { Ok(()) } else { Err("it takes an e-mail address.".into()) }
}

/// The rule of token names, which are shown and nothing else.
pub(super) fn check_token_name(text: &str) -> std::result::Result<(), String> {
    check_text(text, 50)
}

fn check_text(text: &str, max: usize) -> std::result::Result<(), String> {
    let count = text.chars().count();
    if text.trim().is_empty() || count > max || text.chars().any(char::is_control) {
        return Err(format!("it takes 1 to {max} characters, not only spaces, and no control characters."));
    }
    Ok(())
}
