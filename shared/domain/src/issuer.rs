//! The OpenID Connect issuers whose JSON Web Tokens a deployment accepts, from its configuration.
//!
//! The configuration is fail-closed: an unknown or misspelled field, a repeated one or a value of
//! another type is an error, so that no misspelling drops a requirement.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::names::names;
use crate::unique_map::UniqueMap;

names! {
    /// Who signs in through an issuer.
    "kind" pub enum IssuerKind {
        /// People, with access tokens. ID tokens are refused: they are for the client that
        /// requested them, which can show them to others.
        People = "people",
        /// CI systems and other machines. Their issuers issue ID tokens for an audience.
        Ci = "ci",
    }
}

/// An OpenID Connect issuer that the deployment trusts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issuer {
    /// Its URL, exactly as in the `iss` claim of its tokens.
    pub issuer: String,
    /// The audience that its tokens must have.
    pub audience: String,
    /// Who signs in through it.
    pub kind: IssuerKind,
    /// The client id with which the console signs people in. Without one, the console does not
    /// offer this issuer.
    pub client_id: Option<String>,
    /// The OAuth scopes that the console requests.
    pub scopes: Vec<String>,
    /// The clients whose tokens are accepted. Empty: every client, if a token has no other
    /// audience.
    pub authorized_parties: Vec<String>,
    /// Claims that a token must have, with their values.
    pub required_claims: BTreeMap<String, String>,
    /// Whether an unknown login becomes a user.
    pub sign_up: bool,
}

/// The issuers of a deployment: none, or up to [`Issuers::MAX`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Issuers(Vec<Issuer>);

impl Issuers {
    /// The maximum number of issuers.
    pub const MAX: usize = 3;

    /// Parses a JSON array of issuers. The error says what the text must be, for an operator. It
    /// names fields and positions and quotes nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let declared: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|_| format!("{LIST}, as JSON text: it cannot be parsed"))?;
        if declared.len() > Self::MAX {
            return Err(format!("{LIST}: it has {}", declared.len()));
        }
        let mut issuers: Vec<Issuer> = Vec::new();
        for (index, declared) in declared.iter().enumerate() {
            let issuer = read(declared).map_err(|problem| format!("{LIST}: [{index}]{problem}"))?;
            // Discovery ignores a trailing slash, so both would have the same keys.
            if issuers.iter().any(|known| bare(&known.issuer) == bare(&issuer.issuer)) {
                return Err(format!("{LIST}: [{index}].issuer is listed twice"));
            }
            issuers.push(issuer);
        }
        Ok(Self(issuers))
    }

    /// Returns the issuer with exactly this name.
    #[must_use]
    pub fn find(&self, issuer: &str) -> Option<&Issuer> {
        self.0.iter().find(|known| known.issuer == issuer)
    }

    /// Returns every issuer, in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> &[Issuer] {
        &self.0
    }
}

/// Returns whether a URL is safe for credentials: `https`, or `http` on loopback. It has no user,
/// query or fragment.
#[must_use]
pub fn is_secure_url(text: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'\'' | b'\\' | b'<' | b'>' | b'@')
    };
    let authority = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    text.bytes().all(fits)
        && match text.split_once("://") {
            Some(("https", rest)) => !host(&authority(rest)).is_empty(),
            Some(("http", rest)) => is_loopback(host(&authority(rest))),
            _ => false,
        }
}

/// Returns the host of `host`, `host:port` or `[address]:port`, or empty text for another form.
fn host(authority: &str) -> &str {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, rest)) => (address, Some(rest.strip_prefix(':').unwrap_or("?"))),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if port.is_none_or(|port| port.parse::<u16>().is_ok()) { host } else { "" }
}

/// Whether this host, without brackets and port, is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

const LIST: &str = "a list of at most three OpenID Connect issuers";
const FIELDS: &str = "issuer, audience, kind, clientId, scopes, authorizedParties, requiredClaims and signUp";

/// An issuer in the configuration.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Declared {
    issuer: String,
    audience: String,
    kind: IssuerKind,
    client_id: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    authorized_parties: Vec<String>,
    #[serde(default)]
    required_claims: UniqueMap<String>,
    #[serde(default)]
    sign_up: bool,
}

/// Reads one issuer. The error continues the issuer's position: `.audience is empty`.
fn read(json: &RawValue) -> Result<Issuer, String> {
    let declared: Declared = serde_json::from_str(json.get()).map_err(|error| {
        let column = error.column();
        format!(
            " is missing a field, or has an unknown or repeated field or a value of the wrong type (near \
             character {column}). Its fields are {FIELDS}"
        )
    })?;
    check(&declared)?;
    let Declared { issuer, audience, kind, client_id, mut scopes, authorized_parties, .. } = declared;
    if client_id.is_some() && scopes.is_empty() {
        scopes.push("openid".into());
    }
    let (required_claims, sign_up) = (declared.required_claims.0, declared.sign_up);
    Ok(Issuer { issuer, audience, kind, client_id, scopes, authorized_parties, required_claims, sign_up })
}

fn check(declared: &Declared) -> Result<(), String> {
    let refuse = |is_wrong: bool, problem: &str| if is_wrong { Err(problem.to_owned()) } else { Ok(()) };
    let parties = &declared.authorized_parties;
    let claims = &declared.required_claims.0;
    let is_bad_claim = |(name, value): (&String, &String)| !is_text(name) || !is_text(value);
    refuse(
        !is_secure_url(&declared.issuer),
        ".issuer must be an https URL without user, query and fragment (http only on loopback)",
    )?;
    refuse(!is_text(&declared.audience), ".audience is empty or has control characters")?;
    refuse(
        declared.client_id.as_ref().is_some_and(|id| !is_text(id)),
        ".clientId is empty or has control characters",
    )?;
    refuse(
        declared.client_id.is_some() && declared.kind == IssuerKind::Ci,
        ".clientId is for the console, where only issuers of the kind people are offered",
    )?;
    refuse(
        !declared.scopes.is_empty() && declared.client_id.is_none(),
        ".scopes are those that the console requests: they need clientId",
    )?;
    refuse(
        !declared.scopes.iter().all(|scope| is_oauth_scope(scope)),
        ".scopes must have one OAuth scope in each text, without spaces",
    )?;
    refuse(
        !declared.scopes.is_empty() && !declared.scopes.iter().any(|scope| scope == "openid"),
        ".scopes must contain openid",
    )?;
    refuse(
        !parties.iter().all(|party| is_text(party)),
        ".authorizedParties has an empty text or one with control characters",
    )?;
    refuse(
        claims.iter().any(is_bad_claim),
        ".requiredClaims has an empty text or one with control characters",
    )?;
    refuse(
        declared.sign_up && declared.kind == IssuerKind::Ci && claims.is_empty(),
        ".signUp of the kind ci needs requiredClaims: other customers of the CI system have the same issuer",
    )
}

fn bare(issuer: &str) -> &str {
    issuer.trim_end_matches('/')
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// RFC 6749, section 3.3.
fn is_oauth_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests;
