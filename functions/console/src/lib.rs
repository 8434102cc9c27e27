//! The web console: static files that are compiled in. This function calls no AWS service and reads
//! nothing of a request except the path. The page calls the API with the token of its user.

mod files;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use files::{FILES, PAGE};

/// What a page can load and do. The page runs no script and applies no style except its files,
/// calls only this API, cannot be framed, and cannot turn text into markup or script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
    connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

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
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Console {
    /// Computes the version of the files.
    #[must_use]
    pub fn new() -> Self {
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
        Self { page: PAGE.replace("@VERSION@", &version), version }
    }

    /// Answers an event of API Gateway. Never fails: an event that is not understood gets a 404.
    #[must_use]
    pub fn answer(&self, payload: &RawValue) -> Box<RawValue> {
        let event: Event = serde_json::from_str(payload.get()).unwrap_or_default();
        let path = event.path_parameters.unwrap_or_default().remove("proxy");
        let (status, content_type, cache, body) = match self.find(path.as_deref()) {
            Some((content_type, body)) if path.is_some() => (200, content_type, IMMUTABLE, body),
            Some((content_type, body)) => (200, content_type, "no-store", body),
            None => (404, "text/plain; charset=utf-8", "no-store", "Not Found\n"),
        };
        tracing::info!(operation = "console", http.status = status, "answered");
        let mut headers = BTreeMap::from([
            ("cache-control", cache),
            ("content-security-policy", POLICY),
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

    /// Returns the type and the content of the page, or of the file at a path below it.
    fn find(&self, path: Option<&str>) -> Option<(&'static str, &str)> {
        let Some(path) = path else {
            return Some(("text/html; charset=utf-8", &self.page));
        };
        let name = path.strip_prefix(&self.version)?.strip_prefix('/')?;
        let (_, content_type, content) = FILES.iter().find(|(known, ..)| *known == name)?;
        Some((content_type, content))
    }
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
