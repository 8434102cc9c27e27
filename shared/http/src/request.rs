//! Requests from API Gateway (payload format 2.0). They borrow from the event: a body is copied
//! only when a handler reads it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use domain::identity::{Actor, Caller, Login, VerifiedLogin};
use domain::ids::{RunId, SecretId, TokenId, UserId, WorkspaceId};
use domain::token::PresentedToken;
use domain::token_scope::TokenScope;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::body;
use crate::operation::{Function, Operation};
use crate::problem::Problem;

/// A request for one operation of the table.
pub struct Request<'a> {
    /// The operation.
    pub operation: Operation,
    event: Event<'a>,
}

impl<'a> Request<'a> {
    /// Parses an event. Returns 501 for a route that is not in the table, and 400 for an event that
    /// API Gateway never sends.
    pub(crate) fn parse(event: &'a str) -> Result<Self, Problem> {
        let event: Event<'a> =
            serde_json::from_str(event).map_err(|_| Problem::bad_request("The request cannot be read."))?;
        let operation = Operation::of_route(&event.route_key).ok_or_else(Problem::no_such_operation)?;
        Ok(Self { operation, event })
    }

    /// Returns the caller that the authorizer identified. Refuses a request without one: it did not
    /// pass the authorizer. Refuses a token whose scope does not have the operation.
    pub fn caller(&self) -> Result<Caller, Problem> {
        let caller = self.identified()?;
        match &caller {
            Caller::User(actor) if !self.operation.scopes().contains(&actor.scope) => {
                let needs: Vec<_> = self.operation.scopes().iter().map(|scope| scope.as_str()).collect();
                let (scope, needs) = (actor.scope, needs.join(" or "));
                let text = format!("it has the scope {scope}, and this operation needs the scope {needs}.");
                Err(domain::Error::TokenLimited(text).into())
            }
            _ => Ok(caller),
        }
    }

    fn identified(&self) -> Result<Caller, Problem> {
        let refused = || Problem::new(403, "Forbidden");
        let authorizer = self.event.request_context.authorizer.as_ref().ok_or_else(refused)?;
        match &authorizer.lambda {
            AuthorizerContext {
                user_id: Some(user),
                token_id,
                scope,
                workspace_id,
                issuer: None,
                subject: None,
                email: None,
                sign_up: None,
            } => {
                let user: UserId = user.parse().map_err(|_| refused())?;
                match (token_id, scope) {
                    // A token without its scope is refused: a lost limit must not widen it.
                    (Some(token), Some(scope)) => {
                        let token: TokenId = token.parse().map_err(|_| refused())?;
                        let scope: TokenScope = scope.parse().map_err(|_| refused())?;
                        let workspace = workspace_id.as_ref().map(|id| id.parse()).transpose();
                        let workspace = workspace.map_err(|_| refused())?;
                        Ok(Caller::User(Actor { user, token: Some(token), workspace, scope }))
                    }
                    (None, None) if workspace_id.is_none() => Ok(Caller::User(Actor::without_token(user))),
                    _ => Err(refused()),
                }
            }
            AuthorizerContext {
                user_id: None,
                token_id: None,
                scope: None,
                workspace_id: None,
                issuer: Some(issuer),
                subject: Some(subject),
                email,
                sign_up: Some(sign_up),
            } => Ok(Caller::NewLogin(VerifiedLogin {
                login: Login { issuer: issuer.to_string(), subject: subject.to_string() },
                verified_email: email.as_ref().map(ToString::to_string),
                sign_up: sign_up.parse().map_err(|_| refused())?,
            })),
            _ => Err(refused()),
        }
    }

    /// Returns the user who calls. Refuses a login that no user has: only `identity` registers
    /// logins.
    pub fn actor(&self) -> Result<Actor, Problem> {
        match self.caller()? {
            Caller::User(actor) => Ok(actor),
            Caller::NewLogin(verified) if verified.sign_up => Err(Problem::new(
                403,
                "Your login is not registered yet. Call GET /user-info once, wait a minute, and repeat this request.",
            )),
            Caller::NewLogin(verified) => Err(verified.login.unknown().into()),
        }
    }

    /// Returns a header by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.event.headers.get(name).map(|value| &**value)
    }

    /// Returns a query parameter. A parameter without a value is present and empty: a `workspaceId`
    /// that lost its value must not select the caller's user secrets.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        let query = self.event.query_string_parameters.as_ref()?;
        query.get(name).map(|value| &**value)
    }

    /// Refuses unknown query parameters, as the table of operations has it.
    pub(crate) fn check_query(&self) -> Result<(), Problem> {
        let known = [self.operation.query(), &["workspaceId"]].concat();
        let mut names = self.event.query_string_parameters.iter().flatten().map(|(name, _)| name);
        names.try_for_each(|name| {
            body::check_name("query parameter", name, &known, self.operation.unknown_names())
        })
    }

    /// Returns the workspace of the query. Refuses a misspelled `workspaceId`: it must not select
    /// the caller's user secrets.
    pub fn workspace(&self) -> Result<Option<WorkspaceId>, Problem> {
        let mut names = self.event.query_string_parameters.iter().flatten().map(|(name, _)| &**name);
        if names.any(means_workspace) {
            return Err(Problem::bad_request(
                "Unknown query parameter: the name of the workspace parameter must be workspaceId.",
            ));
        }
        let Some(text) = self.query("workspaceId") else {
            return Ok(None);
        };
        let number = whole_number(text)
            .ok_or_else(|| Problem::bad_request("workspaceId must be one whole number."))?;
        WorkspaceId::new(number).map(Some).ok_or_else(|| domain::Error::NotFound.into())
    }

    /// Returns a path parameter, or empty text without one.
    #[must_use]
    pub fn path(&self, name: &str) -> &str {
        self.event
            .path_parameters
            .as_ref()
            .and_then(|parameters| parameters.get(name))
            .map_or("", |value| &**value)
    }

    /// Returns the secret of the path.
    pub fn secret_id(&self) -> Result<SecretId, Problem> {
        self.id("secretId", SecretId::new)
    }

    /// Returns an ID of the path. Text that is not a number is a bad request, or an operation that
    /// the service does not have; a number that cannot be an ID is not found.
    pub fn id<Id>(&self, name: &str, new: impl Fn(i64) -> Option<Id>) -> Result<Id, Problem> {
        let text = self.path(name);
        match whole_number(text) {
            Some(number) => new(number).ok_or_else(|| domain::Error::NotFound.into()),
            None if OPERATIONS.contains(&text) => Err(Problem::no_such_operation()),
            None => Err(Problem::bad_request(format!("{name} must be a whole number."))),
        }
    }

    /// Returns an ID of the path that is text. Text that cannot be an ID is not found.
    pub fn text_id<Id>(&self, name: &str, parse: impl Fn(&str) -> domain::Result<Id>) -> Result<Id, Problem> {
        let text = self.path(name);
        if OPERATIONS.contains(&text) {
            return Err(Problem::no_such_operation());
        }
        parse(text).map_err(|_| domain::Error::NotFound.into())
    }

    /// Returns the run of the path.
    pub fn run_id(&self) -> Result<RunId, Problem> {
        Ok(RunId::new(self.path("workflowId"))?)
    }

    /// Returns the credential in the `Authorization` header, for operations without an authorizer.
    /// Returns 401 without the header.
    pub fn presented(&self) -> Result<PresentedToken, Problem> {
        let header = self.header("authorization").ok_or_else(|| Problem::new(401, "Unauthorized"))?;
        PresentedToken::from_authorization(header).ok_or_else(|| Problem::new(403, "Forbidden"))
    }

    /// Returns the version in `If-Match`, `"3"` or `3`; `*` matches every version. Returns 412 for
    /// other text.
    pub fn if_version(&self) -> Result<Option<u64>, Problem> {
        match self.header("if-match").map(str::trim) {
            None | Some("*") => Ok(None),
            Some(tag) => match tag.trim_matches('"').parse() {
                Ok(version) => Ok(Some(version)),
                Err(_) => Err(domain::Error::VersionConflict.into()),
            },
        }
    }

    /// Returns the `Idempotency-Key` header.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key")
    }

    /// Returns whether the client accepts plain text and not JSON.
    #[must_use]
    pub fn wants_text(&self) -> bool {
        self.header("accept").is_some_and(|accept| accept.contains("text/plain") && !accept.contains("json"))
    }

    /// Returns the media type of the body, in lower case and without parameters.
    #[must_use]
    pub fn content_type(&self) -> String {
        let header = self.header("content-type").unwrap_or_default();
        header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Reads the JSON body into its wire type. Returns 415 for another media type, 413 for a body
    /// that is too large, and 400 for a body that is not valid, has an unknown field, or whose
    /// `workspaceId` differs from the query's.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            workspace_id: Option<i64>,
        }
        let text = self.json_text()?;
        let read = body::parse(&text)?;
        body::check_fields::<T>(&text, self.operation.unknown_names())?;
        let named: Named = body::parse(&text)?;
        let of_query = self.workspace()?.map(WorkspaceId::number);
        // A new token's workspace is in the body alone. In the query alone, it would limit nothing.
        let is_right = match (self.operation, of_query, named.workspace_id) {
            (Operation::CreateToken, None, _) => true,
            (Operation::CreateToken, ..) => of_query == named.workspace_id,
            (_, _, named) => named.is_none() || named == of_query,
        };
        if self.operation == Operation::CreateToken && !is_right {
            return Err(Problem::bad_request(
                "The workspace of a new token belongs in the body: remove the query parameter workspaceId.",
            ));
        }
        if !is_right {
            return Err(Problem::bad_request(
                "workspaceId in the body differs from the query parameter workspaceId: omit it in the body.",
            ));
        }
        Ok(read)
    }

    /// Returns the text of a JSON body, for bodies with arbitrary keys, which can include
    /// `workspaceId`. Returns 415 for another media type, and 413 for a body that is too large.
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

    /// Returns the body as text. This is the only copy of the body, and it is zeroed after use.
    pub fn body(&self) -> Result<Zeroizing<String>, Problem> {
        let too_large = || {
            let limit = self.operation.max_body() / 1024;
            Problem::new(413, format!("The body is too large: it may have at most {limit} KiB."))
        };
        let malformed = || Problem::bad_request("Malformed body: it is not valid UTF-8 text.");
        let Some(raw) = self.event.body else {
            return Ok(Zeroizing::default());
        };
        // Escapes never make text shorter, and base64 makes it longer by at most a third.
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
            // API Gateway replaces bytes that are not UTF-8 by U+FFFD, so that a different value
            // would be stored without notice. JSON can still contain this character as an escape.
            // Nextflow's messages are accepted in any case.
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

    /// Returns the month of the query in the form `yyyy-mm`, or the month of `now`.
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
            false => Err(Problem::bad_request("month must have the form YYYY-MM, such as 2026-01.")),
        }
    }

    /// Returns a query parameter that must be `true` or `false`; false if it is absent.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.query(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::bad_request(format!("{name} must be true or false."))),
        }
    }

    /// Returns a query parameter that must be a number from 1 to `most`.
    pub fn limit(&self, name: &str, default: u32, most: u32) -> Result<u32, Problem> {
        match self.query(name) {
            None => Ok(default),
            Some(text) => whole_number(text)
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| (1..=most).contains(number))
                .ok_or_else(|| Problem::bad_request(format!("{name} must be a number from 1 to {most}."))),
        }
    }
}

/// The parts of the event that are read. It has no `Debug`, because it contains tokens and values.
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

/// Last segments of operations that match a route with an ID: `GET
/// /orgs/{orgId}/workspaces/validate`.
const OPERATIONS: [&str; 6] = ["validate", "import", "add", "create", "launch", "preview"];

/// Reads a number of ASCII digits without sign, blanks and leading zeros.
#[must_use]
pub fn whole_number(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| digits && canonical)
}

/// Matches `workspaceid`, `workspace_id`, `workspace`, and similar names, but not `workspaceId`.
fn means_workspace(name: &str) -> bool {
    name != "workspaceId" && matches!(&*body::letters(name), "workspaceid" | "workspace")
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
    scope: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    workspace_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    issuer: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    email: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sign_up: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests;
