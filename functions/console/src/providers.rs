//! The OpenID Connect providers with which people sign in, as the page needs them. The function
//! reads their discovery documents, so that the page calls no other origin than the token endpoint.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use domain::issuer::{Issuer, IssuerKind};
use futures_util::future::join_all;
use oidc_discovery::{Discovery, Source, Url};
use serde::Serialize;

/// After a failure, the page offers only sign-in by token for this time, and is not slowed down.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The providers of the deployment.
#[derive(Default)]
pub struct Providers(Vec<Configured>);

struct Configured {
    issuer: String,
    client_id: String,
    audience: String,
    scopes: Vec<String>,
    source: Source,
    known: RefCell<Known>,
}

enum Known {
    Nothing,
    Endpoints(Endpoints),
    FailedAt(Instant),
}

/// The parts of a discovery document that the page needs.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Endpoints {
    authorize: Url,
    token: Url,
    /// Whether each answer names its issuer (RFC 9207).
    names_issuer: bool,
}

/// A provider, for the page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Offer {
    issuer: String,
    /// `None` if the provider is not available at the moment.
    sign_in: Option<SignIn>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignIn {
    authorize: String,
    token: String,
    names_issuer: bool,
    /// The parameters of the authorization request that do not change.
    parameters: Vec<(&'static str, String)>,
}

impl Providers {
    /// Selects the issuers of people that have a client ID. An issuer whose URL is not safe to
    /// fetch is refused by the authorizer's configuration, and left out here.
    #[must_use]
    pub fn of(issuers: &[Issuer]) -> Self {
        let people = issuers.iter().filter(|issuer| issuer.kind == IssuerKind::People);
        Self(people.filter_map(configured).collect())
    }

    /// Returns all providers, in the configured order.
    pub(crate) async fn offers(&self) -> Vec<Offer> {
        let mut offers = join_all(self.0.iter().map(Configured::offer)).await;
        keep_distinguishable(&mut offers);
        offers
    }
}

/// Leaves one provider whose answers do not name it. The page could not tell the answers of two
/// such providers apart, and would send the code of one to the other:
/// <https://www.rfc-editor.org/rfc/rfc9700.html#section-4.4>.
fn keep_distinguishable(offers: &mut [Offer]) {
    let is_nameless = |offer: &&mut Offer| offer.sign_in.as_ref().is_some_and(|it| !it.names_issuer);
    for offer in offers.iter_mut().filter(is_nameless).skip(1) {
        offer.sign_in = None;
    }
}

fn configured(issuer: &Issuer) -> Option<Configured> {
    Some(Configured {
        issuer: issuer.issuer.clone(),
        client_id: issuer.client_id.clone()?,
        audience: issuer.audience.clone(),
        scopes: issuer.scopes.clone(),
        source: Source::of(&issuer.issuer)?,
        known: RefCell::new(Known::Nothing),
    })
}

impl Offer {
    /// Returns the origin of the token endpoint.
    pub(crate) fn token_origin(&self) -> Option<String> {
        let token = Url::parse(&self.sign_in.as_ref()?.token).ok()?;
        Some(token.origin().ascii_serialization())
    }
}

impl Configured {
    async fn offer(&self) -> Offer {
        let sign_in = self.endpoints().await.map(|endpoints| SignIn {
            authorize: endpoints.authorize.into(),
            token: endpoints.token.into(),
            names_issuer: endpoints.names_issuer,
            parameters: parameters(&self.client_id, &self.audience, &self.scopes),
        });
        Offer { issuer: self.issuer.clone(), sign_in }
    }

    async fn endpoints(&self) -> Option<Endpoints> {
        match &*self.known.borrow() {
            Known::Endpoints(endpoints) => return Some(endpoints.clone()),
            Known::FailedAt(at) if at.elapsed() < RETRY_AFTER => return None,
            _ => {}
        }
        let found = match self.source.discover().await {
            Ok(discovery) => endpoints(&discovery),
            Err(error) => {
                domain::log::error(&error).operation("console").warn("an issuer is not available");
                None
            }
        };
        *self.known.borrow_mut() = match &found {
            Some(endpoints) => Known::Endpoints(endpoints.clone()),
            None => Known::FailedAt(Instant::now()),
        };
        found
    }
}

/// Returns the endpoints of a provider that can be used from a page: with safe addresses, and with
/// PKCE by SHA-256. Some providers, such as Entra ID, support it without saying so.
fn endpoints(discovery: &Discovery) -> Option<Endpoints> {
    let methods = discovery.code_challenge_methods_supported.as_deref();
    if methods.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
        return None;
    }
    Some(Endpoints {
        authorize: discovery.endpoint(discovery.authorization_endpoint.as_deref()?)?,
        token: discovery.endpoint(discovery.token_endpoint.as_deref()?)?,
        names_issuer: discovery.authorization_response_iss_parameter_supported,
    })
}

/// Returns the parameters that make the access token one for this service. Auth0 needs `audience`;
/// Amazon Cognito and providers of RFC 8707 need `resource`, which must be a URI. Okta and Keycloak
/// ignore both and decide by their configuration. Entra ID derives the audience from a scope such
/// as `api://…/access`, and refuses `resource`.
fn parameters(client_id: &str, audience: &str, scopes: &[String]) -> Vec<(&'static str, String)> {
    let mut scope = scopes.join(" ");
    if scope.is_empty() {
        "openid".clone_into(&mut scope);
    }
    let mut parameters =
        vec![("client_id", client_id.to_owned()), ("scope", scope), ("audience", audience.to_owned())];
    let in_scope = scopes.iter().any(|scope| scope.contains("://"));
    if Url::parse(audience).is_ok() && !in_scope {
        parameters.push(("resource", audience.to_owned()));
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery(change: impl FnOnce(&mut Discovery)) -> Discovery {
        let mut discovery = Discovery {
            issuer: "https://login.example.org".into(),
            jwks_uri: "https://login.example.org/keys".into(),
            authorization_endpoint: Some("https://login.example.org/authorize".into()),
            token_endpoint: Some("https://api.example.org/token".into()),
            code_challenge_methods_supported: Some(vec!["plain".into(), "S256".into()]),
            authorization_response_iss_parameter_supported: true,
        };
        change(&mut discovery);
        discovery
    }

    #[test]
    fn a_provider_is_offered_only_with_safe_endpoints_and_pkce() {
        type Change = fn(&mut Discovery);
        let cases: [(&str, Change, bool); 8] = [
            ("complete", |_| (), true),
            ("without a list of methods, as Entra ID", |it| it.code_challenge_methods_supported = None, true),
            ("only plain PKCE", |it| it.code_challenge_methods_supported = Some(vec!["plain".into()]), false),
            ("no authorization endpoint", |it| it.authorization_endpoint = None, false),
            ("no token endpoint", |it| it.token_endpoint = None, false),
            (
                "a script as endpoint",
                |it| it.authorization_endpoint = Some("javascript:alert(1)".into()),
                false,
            ),
            (
                "a token endpoint over http",
                |it| it.token_endpoint = Some("http://api.example.org/token".into()),
                false,
            ),
            (
                "a token endpoint on loopback",
                |it| it.token_endpoint = Some("http://127.0.0.1:9001/token".into()),
                false,
            ),
        ];
        for (case, change, offered) in cases {
            assert_eq!(endpoints(&discovery(change)).is_some(), offered, "{case}");
        }
    }

    #[test]
    fn of_the_providers_that_do_not_name_themselves_only_one_is_offered() {
        let offer = |names_issuer: Option<bool>| Offer {
            issuer: "https://login.example.org".into(),
            sign_in: names_issuer.map(|names_issuer| SignIn {
                authorize: "https://login.example.org/authorize".into(),
                token: "https://login.example.org/token".into(),
                names_issuer,
                parameters: Vec::new(),
            }),
        };
        let (named, nameless, unavailable) = (Some(true), Some(false), None);
        for (configured, offered) in [
            ([nameless, named, unavailable], [true, true, false]),
            ([nameless, nameless, named], [true, false, true]),
            ([unavailable, nameless, nameless], [false, true, false]),
            ([named, named, nameless], [true, true, true]),
            ([nameless, nameless, nameless], [true, false, false]),
        ] {
            let mut offers = configured.map(offer);
            keep_distinguishable(&mut offers);
            assert_eq!(offers.map(|offer| offer.sign_in.is_some()), offered, "{configured:?}");
        }
    }

    #[test]
    fn the_audience_is_asked_for_as_each_provider_needs_it() {
        let has = |audience: &str, scopes: &[&str]| {
            let scopes: Vec<_> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let found = parameters("client", audience, &scopes);
            let find = |name| found.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
            (find("scope").unwrap(), find("audience").unwrap(), find("resource"))
        };
        let uri = "https://secrets.example.org";
        assert_eq!(has(uri, &[]), ("openid".into(), uri.into(), Some(uri.into())), "Auth0, Cognito");
        assert_eq!(
            has("secrets", &["openid", "email"]),
            ("openid email".into(), "secrets".into(), None),
            "Keycloak"
        );
        let entra = "api://0f5c/access";
        assert_eq!(has("api://0f5c", &[entra]), (entra.into(), "api://0f5c".into(), None), "Entra ID");
    }
}
