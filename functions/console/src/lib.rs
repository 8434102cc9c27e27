//! The web console: static files that are compiled in. This function calls no AWS service and reads
//! nothing of a request except the path. It reads the discovery documents of the providers with
//! which people sign in. The page calls the API with the token of its user.

mod files;
mod providers;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use files::{FILES, PAGE};
use providers::Offer;
pub use providers::Providers;

/// What a page can load and do. The page runs no script and applies no style except its files,
/// calls only this API and the token endpoints of providers, which follow, cannot be framed, and
/// cannot turn text into markup or script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
    form-action 'none'; frame-ancestors 'none'; base-uri 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'; connect-src 'self'";

/// Every feature off, except for the button that copies a command.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), clipboard-write=(self), \
    display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), \
    local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
    publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), usb=(), \
    xr-spatial-tracking=()";

/// A year: the content of a path never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Answers requests for the console.
pub struct Console {
    /// The digest of all files, which is part of their paths.
    version: String,
    /// The page, which refers to the files of this version.
    page: String,
    providers: Providers,
}

impl Console {
    /// Computes the version of the files.
    #[must_use]
    pub fn new(providers: Providers) -> Self {
        let mut digest = Context::new(&SHA256);
        for (name, _, content) in FILES.iter().chain([&("", "", PAGE)]) {
            for part in [name, content] {
                digest.update(&part.len().to_be_bytes());
                digest.update(part.as_bytes());
            }
        }
        let digest = digest.finish();
        let version = digest.as_ref()[..8].iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self { page: PAGE.replace("@VERSION@", &version), version, providers }
    }

    /// Answers an event of API Gateway. Never fails: an event that is not understood gets a 404.
    pub async fn answer(&self, payload: &RawValue) -> Box<RawValue> {
        let event: Event = serde_json::from_str(payload.get()).unwrap_or_default();
        let path = event.path_parameters.unwrap_or_default().remove("proxy");
        let (page, policy);
        let (status, content_type, cache, body, policy) = match path {
            None => {
                let offers = self.providers.offers().await;
                page = self.page.replace("@PROVIDERS@", &attribute(&offers));
                policy = policy_with(&offers);
                (200, "text/html; charset=utf-8", "no-store", page.as_str(), policy.as_str())
            }
            Some(path) => match self.find(&path) {
                Some((content_type, body)) => (200, content_type, IMMUTABLE, body, POLICY),
                None => (404, "text/plain; charset=utf-8", "no-store", "Not Found\n", POLICY),
            },
        };
        tracing::info!(operation = "console", http.status = status, "answered");
        let mut headers = BTreeMap::from([
            ("cache-control", cache),
            ("content-security-policy", policy),
            ("content-type", content_type),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", PERMISSIONS),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ]);
        if event.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https") {
            headers.insert("strict-transport-security", "max-age=31536000");
        }
        let answer = Response { status_code: status, headers, body };
        // Text and numbers: it cannot fail to serialize.
        serde_json::value::to_raw_value(&answer).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }

    /// Returns the type and the content of the file at a path below the page.
    fn find(&self, path: &str) -> Option<(&'static str, &'static str)> {
        let name = path.strip_prefix(&self.version)?.strip_prefix('/')?;
        let (_, content_type, content) = FILES.iter().find(|(known, ..)| *known == name)?;
        Some((content_type, content))
    }
}

/// Returns the providers as JSON in the value of an HTML attribute.
fn attribute(offers: &[Offer]) -> String {
    let json = serde_json::to_string(offers).unwrap_or_else(|_| "[]".to_owned());
    json.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Allows requests to the token endpoints. The last directive of the policy is `connect-src`.
fn policy_with(offers: &[Offer]) -> String {
    let mut policy = POLICY.to_owned();
    for origin in offers.iter().filter_map(Offer::token_origin) {
        policy.extend([" ", &origin]);
    }
    policy
}

/// The parts of an event (payload format 2.0) that matter here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    path_parameters: Option<BTreeMap<String, String>>,
    headers: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    status_code: u16,
    headers: BTreeMap<&'static str, &'a str>,
    body: &'a str,
}

#[cfg(test)]
mod tests;
