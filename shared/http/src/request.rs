//! Requests as API Gateway hands them over (payload format 2.0), borrowed from the event: nothing of a body is copied
//! before a handler asks for it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use domain::identity::{Actor, Caller, Login, VerifiedLogin};
use domain::ids::{RunId, SecretId, TokenId, UserId, WorkspaceId};
use domain::token::Presented;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::body;
use crate::operation::{Function, Operation};
use crate::problem::Problem;

/// A request for one operation of the table.
pub struct Request<'a> {
    /// Which.
    pub operation: Operation,
    event: Event<'a>,
}

impl<'a> Request<'a> {
    /// Takes an event apart. 404 for a route that is not in the table; 400 for an event that API Gateway never sends.
    pub(crate) fn parse(event: &'a str) -> Result<Self, Problem> {
        let event: Event<'a> =
            serde_json::from_str(event).map_err(|_| Problem::bad_request("The request cannot be read."))?;
        let operation =
            Operation::of_route(&event.route_key).ok_or_else(|| Problem::new(404, "Not Found"))?;
        Ok(Self { operation, event })
    }

    /// The caller that the authorizer names. Without one the request never came through the authorizer: refused.
    pub fn caller(&self) -> Result<Caller, Problem> {
        let refused = || Problem::new(403, "Forbidden");
        let authorizer = self.event.request_context.authorizer.as_ref().ok_or_else(refused)?;
        match &authorizer.lambda {
            AuthorizerContext { user_id: Some(user), token_id, issuer: None, subject: None, email: None } => {
                let user: UserId = user.parse().map_err(|_| refused())?;
                let token = token_id.as_ref().map(|id| id.parse::<TokenId>()).transpose();
                Ok(Caller::User(Actor { user, token: token.map_err(|_| refused())? }))
            }
            AuthorizerContext {
                user_id: None,
                token_id: None,
                issuer: Some(issuer),
                subject: Some(subject),
                email,
            } => Ok(Caller::NewLogin(VerifiedLogin {
                login: Login { issuer: issuer.to_string(), subject: subject.to_string() },
                verified_email: email.as_ref().map(ToString::to_string),
            })),
            _ => Err(refused()),
        }
    }

    /// The user who calls. A login that no user has is refused: `identity` alone registers it.
    pub fn actor(&self) -> Result<Actor, Problem> {
        match self.caller()? {
            Caller::User(actor) => Ok(actor),
            Caller::NewLogin(_) => Err(Problem::new(
                403,
                "Your login is not registered yet. Call GET /user-info once, wait a minute, and repeat this request.",
            )),
        }
    }

    /// A header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.event.headers.get(name).map(|value| &**value)
    }

    /// A query parameter. One without a value is there, and empty: a `workspaceId` whose value was lost on the way must
    /// not mean the caller's own secrets.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        let query = self.event.query_string_parameters.as_ref()?;
        query.get(name).map(|value| &**value)
    }

    /// The workspace that the query names. A name that was meant as `workspaceId` is refused: it must not mean the
    /// caller's own secrets.
    pub fn workspace(&self) -> Result<Option<WorkspaceId>, Problem> {
        let Some(text) = self.query("workspaceId") else {
            let mut names = self.event.query_string_parameters.iter().flatten().map(|(name, _)| name);
            return match names.any(|name| means_workspace(name)) {
                true => Err(Problem::bad_request(
                    "Name the workspace by the query parameter workspaceId, written exactly so.",
                )),
                false => Ok(None),
            };
        };
        let number: i64 = text
            .parse()
            .map_err(|_| Problem::bad_request("workspaceId must be a whole number, given once."))?;
        WorkspaceId::new(number).map(Some).ok_or_else(|| domain::Error::NotFound.into())
    }

    /// A path parameter, as it is.
    #[must_use]
    pub fn path(&self, name: &str) -> &str {
        self.event
            .path_parameters
            .as_ref()
            .and_then(|parameters| parameters.get(name))
            .map_or("", |value| &**value)
    }

    /// The secret that the path names. Text that is no number is a bad request, a number that no secret has is absent.
    pub fn secret_id(&self) -> Result<SecretId, Problem> {
        let number: i64 = self
            .path("secretId")
            .parse()
            .map_err(|_| Problem::bad_request("secretId must be a whole number."))?;
        SecretId::new(number).ok_or_else(|| domain::Error::NotFound.into())
    }

    /// The run that the path names.
    pub fn run_id(&self) -> Result<RunId, Problem> {
        Ok(RunId::new(self.path("workflowId"))?)
    }

    /// What the `Authorization` header presents, for the operations that have no authorizer: 401 without the header.
    pub fn presented(&self) -> Result<Presented, Problem> {
        let header = self.header("authorization").ok_or_else(|| Problem::new(401, "Unauthorized"))?;
        Presented::from_authorization(header).ok_or_else(|| Problem::new(403, "Forbidden"))
    }

    /// The version that `If-Match` names: `"3"` or `3`; `*` is any. 412 for what is no version of ours.
    pub fn if_version(&self) -> Result<Option<u64>, Problem> {
        match self.header("if-match").map(str::trim) {
            None | Some("*") => Ok(None),
            Some(tag) => match tag.trim_matches('"').parse() {
                Ok(version) => Ok(Some(version)),
                Err(_) => Err(domain::Error::VersionConflict.into()),
            },
        }
    }

    /// The `Idempotency-Key`.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key")
    }

    /// Whether the client asks for lines of plain text rather than JSON.
    #[must_use]
    pub fn wants_text(&self) -> bool {
        self.header("accept").is_some_and(|accept| accept.contains("text/plain") && !accept.contains("json"))
    }

    /// The media type of the body, in lower case and without parameters.
    #[must_use]
    pub fn content_type(&self) -> String {
        let header = self.header("content-type").unwrap_or_default();
        header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The JSON body as its wire type. 415 for another media type, 413 past the limit, 400 for what cannot be read, and for a
    /// `workspaceId` that differs from the query's.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            workspace_id: Option<i64>,
        }
        let text = self.json_text()?;
        let read = body::parse(&text)?;
        let named: Named = body::parse(&text)?;
        if named.workspace_id.is_some() && named.workspace_id != self.workspace()?.map(WorkspaceId::number) {
            return Err(Problem::bad_request(
                "workspaceId in the body differs from the query's: name the workspace in the query alone.",
            ));
        }
        Ok(read)
    }

    /// The text of a JSON body, unread: for one whose keys are the client's own, `workspaceId` too. 415 for another media
    /// type, 413 past the limit.
    pub fn json_text(&self) -> Result<Zeroizing<String>, Problem> {
        let content_type = self.content_type();
        if content_type != "application/json" && !content_type.ends_with("+json") {
            return Err(Problem::new(
                415,
                "The body must be JSON: send it with Content-Type: application/json.",
            ));
        }
        self.body()
    }

    /// The body as text: the one copy that is made of it, zeroed after use.
    pub fn body(&self) -> Result<Zeroizing<String>, Problem> {
        let too_large = || {
            let limit = self.operation.max_body() / 1024;
            Problem::new(413, format!("The body is too large: it may have at most {limit} KiB."))
        };
        let malformed = || Problem::bad_request("Malformed body: it is not valid UTF-8 text.");
        let Some(raw) = self.event.body else {
            return Ok(Zeroizing::default());
        };
        // Escaping never shrinks text, and base64 grows it by a third at most.
        if raw.get().len() > 8 * self.operation.max_body() {
            return Err(too_large());
        }
        let text: Option<Zeroizing<String>> =
            serde_json::from_str::<Option<String>>(raw.get()).map_err(|_| malformed())?.map(Zeroizing::new);
        let text = text.unwrap_or_default();
        let text = if self.event.is_base64_encoded {
            let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| malformed())?;
            Zeroizing::new(String::from_utf8(bytes).map_err(|_| malformed())?)
        } else {
            // What is no UTF-8 comes as U+FFFD: a value would be stored that nobody ever sees to be another one. In JSON that
            // character can still be written as an escape. Nextflow's messages are read whatever they hold.
            if text.contains(char::REPLACEMENT_CHARACTER) && self.operation.function() != Function::ReportRun
            {
                return Err(malformed());
            }
            text
        };
        match text.len() > self.operation.max_body() {
            true => Err(too_large()),
            false => Ok(text),
        }
    }

    /// The month that the query names as `yyyy-mm`, or the one of `now`.
    pub fn month(&self, now: Timestamp) -> Result<String, Problem> {
        let Some(month) = self.query("month") else {
            return Ok(now.strftime("%Y-%m").to_string());
        };
        let bytes = month.as_bytes();
        let shaped = bytes.len() == 7
            && bytes[4] == b'-'
            && bytes.iter().enumerate().all(|(at, byte)| at == 4 || byte.is_ascii_digit())
            && ("01"..="12").contains(&&month[5..]);
        match shaped {
            true => Ok(month.to_owned()),
            false => Err(Problem::bad_request("month must be of the form 2026-01.")),
        }
    }

    /// A query parameter that is a number from 1 to `most`.
    pub fn limit(&self, name: &str, default: u32, most: u32) -> Result<u32, Problem> {
        match self.query(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=most).contains(number))
                .ok_or_else(|| Problem::bad_request(format!("{name} must be a number from 1 to {most}."))),
        }
    }
}

/// The parts of the event that are read. It has no `Debug`: it holds tokens and values.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    route_key: Cow<'a, str>,
    #[serde(borrow, default)]
    headers: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(borrow, default)]
    query_string_parameters: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    #[serde(borrow, default)]
    path_parameters: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    #[serde(borrow, default)]
    request_context: Context<'a>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// `workspaceid`, `workspace_id`, `workspace`, and their like.
fn means_workspace(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
    matches!(&*letters.collect::<String>(), "workspaceid" | "workspace")
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    #[serde(borrow, default)]
    authorizer: Option<Authorizer<'a>>,
}

#[derive(Deserialize)]
struct Authorizer<'a> {
    #[serde(borrow)]
    lambda: AuthorizerContext<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerContext<'a> {
    #[serde(borrow, default)]
    user_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    token_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    issuer: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    email: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests;
