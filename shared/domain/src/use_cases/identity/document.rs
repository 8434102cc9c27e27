//! What an operator declares, read from JSON with every problem found at once.
//!
//! Unknown fields are problems too: a field that is misspelt in a document like this one takes rights away or leaves
//! them in place.

use jiff::Timestamp;
use serde_json::Value;

use super::problems::{Fields, Problems, reject_duplicates};
use crate::identity::fold;
use crate::platform::Platform;
use crate::role::Role;
use crate::use_cases::register_login::LOGIN_NAME_PREFIX;
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

fn read_document(json: &Value, problems: &mut Problems) -> Document {
    let fields = Fields::of(json, "", &["organizations", "users", "prune"], problems);
    let document = Document {
        organizations: fields.list("organizations", problems, read_organization),
        users: fields.list("users", problems, read_user),
        prune: fields.flag("prune", problems),
    };
    reject_duplicates("organizations", "name", document.organizations.iter().map(|it| &it.name), problems);
    reject_duplicates("users", "userName", document.users.iter().map(|it| &it.user_name), problems);
    reject_duplicates("users", "email", document.users.iter().map(|it| &it.email), problems);
    document
}

fn read_organization(json: &Value, place: &str, problems: &mut Problems) -> DeclaredOrganization {
    let fields = Fields::of(json, place, &["name", "workspaces"], problems);
    let workspaces = fields.list("workspaces", problems, read_workspace);
    if workspaces.is_empty() {
        problems.add(place, "an organization must have at least one workspace.");
    }
    let names = workspaces.iter().map(|it: &DeclaredWorkspace| &it.name);
    reject_duplicates(&format!("{place}.workspaces"), "name", names, problems);
    DeclaredOrganization { name: fields.text("name", problems, check_name), workspaces }
}

fn read_workspace(json: &Value, place: &str, problems: &mut Problems) -> DeclaredWorkspace {
    let known = ["name", "fullName", "platforms", "participants"];
    let fields = Fields::of(json, place, &known, problems);
    let participants = fields.list("participants", problems, read_participant);
    let users = participants.iter().map(|it: &DeclaredParticipant| &it.user);
    reject_duplicates(&format!("{place}.participants"), "user", users, problems);
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
    let fields = Fields::of(json, place, &["user", "role"], problems);
    let role = fields.read("role", problems, |text| text.parse().map_err(|error: Error| error.to_string()));
    DeclaredParticipant { user: fields.text("user", problems, check_name), role: role.unwrap_or(Role::View) }
}

fn read_user(json: &Value, place: &str, problems: &mut Problems) -> DeclaredUser {
    let fields = Fields::of(json, place, &["userName", "email", "tokens"], problems);
    let tokens = fields.list("tokens", problems, read_token);
    let names = tokens.iter().map(|it: &DeclaredToken| &it.name);
    reject_duplicates(&format!("{place}.tokens"), "name", names, problems);
    DeclaredUser {
        user_name: fields.text("userName", problems, check_user_name),
        email: fields.text("email", problems, check_email),
        tokens,
    }
}

fn read_token(json: &Value, place: &str, problems: &mut Problems) -> DeclaredToken {
    let fields = Fields::of(json, place, &["name", "expires", "revoked"], problems);
    let time =
        |text: &str| text.parse().map_err(|_| "it must be a time such as 2030-01-31T00:00:00Z.".to_owned());
    let expires = fields.has("expires").then(|| fields.read("expires", problems, time));
    DeclaredToken {
        name: fields.text("name", problems, check_token_name),
        expires: expires.flatten(),
        revoked: fields.flag("revoked", problems),
    }
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
    Err("it must have 1 to 40 letters, digits, '.', '_' or '-', and start with a letter or a digit.".into())
}

fn check_user_name(text: &str) -> std::result::Result<(), String> {
    check_name(text)?;
    if fold(text).starts_with(LOGIN_NAME_PREFIX) {
        return Err(format!(
            "names that start with {LOGIN_NAME_PREFIX} are reserved for users created at sign-in."
        ));
    }
    Ok(())
}

/// Bytes of an e-mail address, at most (RFC 5321, with the erratum on RFC 3696). Names are shorter.
pub(super) const LONGEST_EMAIL: usize = 254;

fn check_email(text: &str) -> std::result::Result<(), String> {
    let parts = text.rsplit_once('@');
    let shaped = text.len() <= LONGEST_EMAIL
        && parts.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if shaped { Ok(()) } else { Err("it must be an e-mail address.".into()) }
}

/// The rule of token names, which are shown and nothing else.
pub(super) fn check_token_name(text: &str) -> std::result::Result<(), String> {
    check_text(text, 50)
}

fn check_text(text: &str, max: usize) -> std::result::Result<(), String> {
    let count = text.chars().count();
    if text.trim().is_empty() || count > max || text.chars().any(char::is_control) {
        return Err(format!(
            "it must have 1 to {max} characters, not only spaces, and no control characters."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
