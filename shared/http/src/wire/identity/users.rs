//! The service, the caller, and the caller's tokens.

use domain::Error;
use domain::identity::{StoredToken, User};
use domain::ids::{TokenId, UserId, WorkspaceId};
use domain::token_scope::TokenScope;
use domain::use_cases::identity::tokens;
use serde::{Deserialize, Serialize};

use super::super::{Date, instant};
use crate::problem::Problem;

/// The version of Seqera Platform's API that the answers follow, for clients that compare it:
/// tower-cli 0.38.0 needs 1.181.0 or later.
pub const API_VERSION: &str = "1.198.0";

/// The response to `GET /service-info`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceInfo<'a> {
    service_info: ServiceFacts<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ServiceFacts<'a> {
    version: &'a str,
    /// The version of Seqera Platform's API that this API follows.
    api_version: &'static str,
    commit_id: (),
    auth_types: &'static [&'static str],
    login_path: (),
    navbar: Navbar,
    /// Seconds between two heartbeats.
    heartbeat_interval: u32,
    user_workspace_enabled: bool,
    allow_instance_credentials: bool,
    landing_url: (),
    terms_of_use_url: (),
    content_url: (),
    analytics: (),
    wave_enabled: bool,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Navbar {
    menus: &'static [&'static str],
}

/// Creates the answer. `version` is the version of this service.
#[must_use]
pub fn service_info(version: &str) -> ServiceInfo<'_> {
    ServiceInfo {
        service_info: ServiceFacts {
            version,
            api_version: API_VERSION,
            commit_id: (),
            auth_types: &[],
            login_path: (),
            navbar: Navbar { menus: &[] },
            heartbeat_interval: 60,
            user_workspace_enabled: true,
            allow_instance_credentials: false,
            landing_url: (),
            terms_of_use_url: (),
            content_url: (),
            analytics: (),
            wave_enabled: false,
        },
    }
}

/// The response to `GET /user-info`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserInfo<'a> {
    user: UserFacts<'a>,
    need_consent: bool,
    default_workspace_id: (),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::struct_excessive_bools, reason = "Seqera Platform's fields")]
struct UserFacts<'a> {
    id: UserId,
    user_name: &'a str,
    email: &'a str,
    first_name: (),
    last_name: (),
    organization: (),
    description: (),
    avatar: (),
    notification: bool,
    terms_of_use_consent: bool,
    marketing_consent: bool,
    deleted: bool,
    last_access: (),
    date_created: Date,
    last_updated: Date,
}

/// Creates the answer for a user.
#[must_use]
pub fn user_info(user: &User) -> UserInfo<'_> {
    UserInfo {
        user: UserFacts {
            id: user.id,
            user_name: &user.user_name,
            email: &user.email,
            first_name: (),
            last_name: (),
            organization: (),
            description: (),
            avatar: (),
            notification: false,
            terms_of_use_consent: true,
            marketing_consent: false,
            deleted: false,
            last_access: (),
            date_created: user.created.into(),
            last_updated: user.created.into(),
        },
        need_consent: false,
        default_workspace_id: (),
    }
}

/// The body of `POST /tokens`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, inline))]
pub struct NewToken {
    /// Must be unique among the caller's tokens (case-insensitive).
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 50), regex(pattern = TOKEN_NAME)))]
    name: String,
    /// After this time, the token is refused. Must be in the future, within the deployment's limit,
    /// and not later than the expiry of the token of this request. Default: the latest possible.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Date>"))]
    expires: Option<String>,
    /// The operations for which the token can be used: `all`, `read` (operations that change
    /// nothing) or `launch` (launches and their runs). Default: the scope of the token of this
    /// request, or `all`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<TokenScope>"))]
    scope: Option<String>,
    /// The only workspace in which the token can be used. Default: that of the token of this
    /// request, or none. The user secrets of the caller can then only be used in launches.
    #[cfg_attr(feature = "schema", schemars(with = "Option<WorkspaceId>"))]
    workspace_id: Option<i64>,
}

/// No space at the ends, and no control characters. The use case refuses more characters that are
/// not shown.
#[cfg(feature = "schema")]
const TOKEN_NAME: &str = r"^(?!\s)[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+(?<!\s)$";

/// Reads the body of `POST /tokens`. The use case validates it.
pub fn new_token(body: NewToken) -> Result<tokens::NewToken, Problem> {
    let expires = body.expires.as_deref().map(|text| instant("expires", text)).transpose()?;
    let scope = body.scope.as_deref().map(str::parse).transpose()?;
    let workspace = body.workspace_id.map(|id| WorkspaceId::new(id).ok_or(Error::NotFound)).transpose()?;
    Ok(tokens::NewToken { name: body.name, expires, workspace, scope })
}

/// A personal access token without its key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct AccessToken<'a> {
    id: TokenId,
    name: &'a str,
    date_created: Date,
    last_used: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Date"))]
    expires: Option<Date>,
    scope: TokenScope,
    /// The only workspace in which the token can be used.
    workspace_id: Option<WorkspaceId>,
    /// The token with which it was created. It stays when that token is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "TokenId"))]
    created_with: Option<TokenId>,
}

impl<'a> From<&'a StoredToken> for AccessToken<'a> {
    fn from(token: &'a StoredToken) -> Self {
        Self {
            id: token.id,
            name: &token.name,
            date_created: token.created.into(),
            last_used: token.last_used.map(Date::from),
            expires: token.expires.map(Date::from),
            scope: token.scope,
            workspace_id: token.workspace,
            created_with: token.created_with,
        }
    }
}

/// The response to `GET /tokens`.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenList<'a> {
    tokens: Vec<AccessToken<'a>>,
}

impl<'a> TokenList<'a> {
    /// Creates the answer with all tokens.
    #[must_use]
    pub fn new(tokens: &'a [StoredToken]) -> Self {
        Self { tokens: tokens.iter().map(AccessToken::from).collect() }
    }
}

/// The response to `POST /tokens`. Only this response contains the token.
// No `Debug`: it contains a token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenCreated<'a> {
    /// The token. Returned only once.
    access_key: &'a str,
    token: AccessToken<'a>,
}

impl<'a> TokenCreated<'a> {
    /// Creates the answer with a new token and its text.
    #[must_use]
    pub fn new(token: &'a StoredToken, access_key: &'a str) -> Self {
        Self { access_key, token: token.into() }
    }
}
