//! Declarations of operators, parsed from JSON. All problems are reported together.
//!
//! Unknown fields are problems too: a misspelt field could grant a permission, or leave one in
//! place.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Value;

use super::problems::{Fields, Problems, reject_duplicates};
use crate::identity::{Login, fold};
use crate::issuer::Issuers;
use crate::platform::Platform;
use crate::role::Role;
use crate::secret::is_invisible_control;
use crate::token_scope::TokenScope;
use crate::use_cases::register_login::LOGIN_NAME_PREFIX;
use crate::{Error, Result};

/// A declaration of organizations, workspaces, participants, users and tokens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Document {
    /// Declared organizations.
    pub organizations: Vec<DeclaredOrganization>,
    /// Declared users.
    pub users: Vec<DeclaredUser>,
    /// Whether participants who are not declared are removed from the declared workspaces.
    pub prune: bool,
}

/// A declared organization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredOrganization {
    /// Its short name.
    pub name: String,
    /// Its workspaces: at least one.
    pub workspaces: Vec<DeclaredWorkspace>,
}

/// A declared workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredWorkspace {
    /// Its short name.
    pub name: String,
    /// Its display name. A new workspace defaults to the short name.
    pub full_name: Option<String>,
    /// The platforms that launches may use. A new workspace defaults to AWS Batch only.
    pub platforms: Option<Vec<Platform>>,
    /// Its participants.
    pub participants: Vec<DeclaredParticipant>,
    /// Whether the workspace must not exist.
    pub deleted: bool,
}

/// A declared participant of a workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredParticipant {
    /// The name of a user who is declared in the document or exists.
    pub user: String,
    /// The user's role.
    pub role: Role,
}

/// A declared user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredUser {
    /// Unique in the deployment.
    pub user_name: String,
    /// Unique in the deployment.
    pub email: String,
    /// Logins at the deployment's issuers. Logins that are not declared are left alone.
    pub logins: Vec<Login>,
    /// Whether the user is disabled; `None` leaves it unchanged.
    pub disabled: Option<bool>,
    /// Whether the user must not exist.
    pub removed: bool,
    /// Declared or revoked tokens.
    pub tokens: Vec<DeclaredToken>,
}

/// A declared personal access token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredToken {
    /// Unique among the user's tokens.
    pub name: String,
    /// When the token expires.
    pub expires: Option<Timestamp>,
    /// The operations for which it can be used. A new token defaults to all.
    pub scope: Option<TokenScope>,
    /// The organization and name of the only workspace in which it can be used, which the document
    /// declares.
    pub workspace: Option<(String, String)>,
    /// Whether the token must not exist.
    pub revoked: bool,
}

impl Document {
    /// Parses a document. [`Error::Invalid`] lists every problem on its own line, with its place.
    pub fn parse(json: &Value) -> Result<Self> {
        let mut problems = Problems::default();
        let document = read_document(json, &mut problems);
        problems.into_result()?;
        Ok(document)
    }

    /// Whether it declares something as deleted.
    #[must_use]
    pub fn deletes(&self) -> bool {
        let workspaces = self.organizations.iter().flat_map(|it| &it.workspaces);
        workspaces.map(|it| it.deleted).chain(self.users.iter().map(|it| it.removed)).any(|it| it)
    }

    /// Refuses logins of issuers that the deployment does not have: such a login is misspelled, or
    /// would take effect for another issuer later.
    pub fn check_issuers(&self, issuers: &Issuers) -> Result<()> {
        let mut problems = Problems::default();
        for (index, user) in self.users.iter().enumerate() {
            for (login, declared) in user.logins.iter().enumerate() {
                if issuers.find(&declared.issuer).is_none() {
                    let place = format!("users[{index}].logins[{login}].issuer");
                    problems
                        .add(&place, "it must be an issuer of the parameter OidcIssuers, exactly as there.");
                }
            }
        }
        problems.into_result()
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
    reject_repeated_logins(&document.users, problems);
    reject_duplicates("users", "email", document.users.iter().map(|it| &it.email), problems);
    document
}

/// A login identifies one user, by its exact issuer and subject.
fn reject_repeated_logins(users: &[DeclaredUser], problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (index, user) in users.iter().enumerate() {
        for (login, declared) in user.logins.iter().enumerate() {
            if !seen.insert((&declared.issuer, &declared.subject)) {
                problems.add(&format!("users[{index}].logins[{login}]"), "it is declared twice.");
            }
        }
    }
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
    let known = ["name", "fullName", "platforms", "participants", "deleted"];
    let fields = Fields::of(json, place, &known, problems);
    let deleted = fields.flag("deleted", problems);
    if deleted && known[1..4].iter().any(|field| fields.has(field)) {
        problems.add(place, "a workspace that is deleted can have only a name.");
    }
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
        deleted,
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
    let known = ["userName", "email", "logins", "disabled", "tokens", "removed"];
    let fields = Fields::of(json, place, &known, problems);
    let removed = fields.flag("removed", problems);
    if removed && known[2..5].iter().any(|field| fields.has(field)) {
        problems.add(place, "a user who is removed can have only a name and an e-mail address.");
    }
    let logins = fields.list("logins", problems, read_login);
    if logins.len() > MAX_LOGINS {
        problems.add(&format!("{place}.logins"), &format!("a user can have at most {MAX_LOGINS}."));
    }
    let tokens = fields.list("tokens", problems, read_token);
    let names = tokens.iter().map(|it: &DeclaredToken| &it.name);
    reject_duplicates(&format!("{place}.tokens"), "name", names, problems);
    DeclaredUser {
        user_name: fields.text("userName", problems, check_user_name),
        email: fields.text("email", problems, check_email),
        logins,
        disabled: fields.has("disabled").then(|| fields.flag("disabled", problems)),
        removed,
        tokens,
    }
}

fn read_login(json: &Value, place: &str, problems: &mut Problems) -> Login {
    let fields = Fields::of(json, place, &["issuer", "subject"], problems);
    let issuer = fields.text("issuer", problems, |text| check_text(text, 255));
    Login { issuer, subject: fields.text("subject", problems, check_subject) }
}

/// The maximum number of a user's declared logins: each is a row of the user's transaction.
const MAX_LOGINS: usize = 10;

/// The rule for subjects that tokens have (OpenID Connect Core, section 2).
fn check_subject(text: &str) -> std::result::Result<(), String> {
    if text.is_empty() || text.len() > 255 || text.contains(char::is_control) {
        return Err("it must have 1 to 255 bytes without control characters.".into());
    }
    Ok(())
}

fn read_token(json: &Value, place: &str, problems: &mut Problems) -> DeclaredToken {
    let known = ["name", "expires", "scope", "workspace", "revoked"];
    let fields = Fields::of(json, place, &known, problems);
    let time =
        |text: &str| text.parse().map_err(|_| "it must be a time such as 2030-01-31T00:00:00Z.".to_owned());
    let expires = fields.has("expires").then(|| fields.read("expires", problems, time));
    let scope = fields.has("scope").then(|| {
        fields.read("scope", problems, |text| text.parse().map_err(|error: Error| error.to_string()))
    });
    let workspace = fields.has("workspace").then(|| fields.read("workspace", problems, read_path));
    DeclaredToken {
        name: fields.text("name", problems, check_token_name),
        expires: expires.flatten(),
        scope: scope.flatten(),
        workspace: workspace.flatten(),
        revoked: fields.flag("revoked", problems),
    }
}

/// Reads the path of a workspace: `organization/workspace`.
fn read_path(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('/') {
        Some((organization, name)) if check_name(organization).is_ok() && check_name(name).is_ok() => {
            Ok((organization.to_owned(), name.to_owned()))
        }
        _ => Err("it must be the names of an organization and a workspace: organization/workspace.".into()),
    }
}

/// The rule for names of users, organizations and workspaces.
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

/// The maximum size of an e-mail address, in bytes (RFC 5321, with the erratum on RFC 3696). Names
/// are shorter.
pub(super) const LONGEST_EMAIL: usize = 254;

fn check_email(text: &str) -> std::result::Result<(), String> {
    let parts = text.rsplit_once('@');
    let shaped = text.len() <= LONGEST_EMAIL
        && parts.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if shaped { Ok(()) } else { Err("it must be an e-mail address.".into()) }
}

/// The rule for token names, which are only displayed.
pub(super) fn check_token_name(text: &str) -> std::result::Result<(), String> {
    check_text(text, 50)?;
    if text.contains(is_ignorable) || text.trim() != text {
        return Err("it must not begin or end with a space, and have no characters that are not shown: it could look \
                    like another name."
            .into());
    }
    Ok(())
}

/// Characters that are shown as nothing: the Unicode property `Default_Ignorable_Code_Point`
/// (<https://www.unicode.org/Public/17.0.0/ucd/DerivedCoreProperties.txt>), and the blank Braille
/// pattern. Some texts need them, but no name of a token.
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn check_text(text: &str, max: usize) -> std::result::Result<(), String> {
    let count = text.chars().count();
    if text.trim().is_empty() || count > max || text.contains(is_invisible_control) {
        return Err(format!(
            "it must have 1 to {max} characters, not only spaces, and no control characters."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
