//! The sections, each with its variables. `infra/template.yaml` sets them.

use std::time::Duration;

use domain::copies::Layout;
use domain::ids::RunPrefix;
use domain::settings::{Limits, Settings};

use super::{Fault, Section, Variables};

/// Where the rows are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// `TABLE_NAME`.
    pub name: String,
}

impl Section for Table {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let rule = "a table's name, 3 to 255 of 0-9, A-Z, a-z, _ . -";
        let name = variables.required("TABLE_NAME", rule, |text| {
            let fits = (3..=255).contains(&text.len()) && text.bytes().all(is_name_byte);
            fits.then(|| text.to_owned())
        });
        Some(Self { name: name? })
    }
}

/// The key that seals and opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnvelopeKey {
    /// `ENVELOPE_KEY_ARN`: a key's own ARN. An alias could be pointed at another key.
    pub arn: String,
}

impl Section for EnvelopeKey {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let arn =
            variables.required("ENVELOPE_KEY_ARN", "the ARN of a KMS key, arn:…:kms:…:key/…", |text| {
                let parts: Vec<&str> = text.splitn(6, ':').collect();
                let fits = matches!(parts[..], ["arn", _, "kms", _, _, key]
                if key.strip_prefix("key/").is_some_and(|id| !id.is_empty()));
                fits.then(|| text.to_owned())
            });
        Some(Self { arn: arn? })
    }
}

/// The deployment's own event bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bus {
    /// `EVENT_BUS_NAME`.
    pub name: String,
}

impl Section for Bus {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let rule = "an event bus's name, 1 to 256 of 0-9, A-Z, a-z, _ . - /";
        let name = variables.required("EVENT_BUS_NAME", rule, |text| {
            let fits = text.len() <= 256 && text.bytes().all(|byte| is_name_byte(byte) || byte == b'/');
            fits.then(|| text.to_owned())
        });
        Some(Self { name: name? })
    }
}

/// `RUN_PREFIX`: what every run's id begins with.
impl Section for RunPrefix {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        variables.required("RUN_PREFIX", "four of 0-9, A-Z, a-z", |text| Self::new(text).ok())
    }
}

/// What only a launch needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Launch {
    /// `API_ENDPOINT`: the API's public base URL, without a slash at its end.
    pub api_endpoint: String,
    /// `COPY_KEY_ID`: the KMS key of the copies; `None` for `aws/secretsmanager`.
    pub copy_key: Option<String>,
}

impl Section for Launch {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let rule = "an http or https URL without query, fragment and slash at its end";
        let api_endpoint = variables.required("API_ENDPOINT", rule, |text| {
            (is_url(text) && !text.ends_with('/')).then(|| text.to_owned())
        });
        let rule = "a KMS key's id, ARN or alias, at most 2048 characters without blanks";
        let copy_key = variables.optional("COPY_KEY_ID", rule, |text| {
            let fits = text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic());
            fits.then(|| text.to_owned())
        });
        Some(Self { api_endpoint: api_endpoint?, copy_key: copy_key? })
    }
}

/// The OpenID Connect issuer whose JSON web tokens are taken, where there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Oidc(pub Option<OidcIssuer>);

/// An issuer, and the audience that its tokens must name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OidcIssuer {
    /// `OIDC_ISSUER`, exactly as tokens name it.
    pub issuer: String,
    /// `OIDC_AUDIENCE`.
    pub audience: String,
}

impl Section for Oidc {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let issuer =
            variables.optional("OIDC_ISSUER", "an http or https URL without query and fragment", |text| {
                is_url(text).then(|| text.to_owned())
            });
        let audience =
            variables.optional("OIDC_AUDIENCE", "an audience, without control characters", |text| {
                (!text.contains(char::is_control)).then(|| text.to_owned())
            });
        match (issuer?, audience?) {
            (None, None) => Some(Self(None)),
            (Some(issuer), Some(audience)) => Some(Self(Some(OidcIssuer { issuer, audience }))),
            // One without the other would take any audience, or none: never what was meant.
            (None, Some(_)) => variables.fault(Fault {
                variable: "OIDC_ISSUER",
                rule: "set with OIDC_AUDIENCE",
                missing: true,
            }),
            (Some(_), None) => variables.fault(Fault {
                variable: "OIDC_AUDIENCE",
                rule: "set with OIDC_ISSUER",
                missing: true,
            }),
        }
    }
}

/// `DEPLOYMENT`, and the deployment's choices, each with a safe default: `MAINTAIN_MAY_WRITE` (false),
/// `ALLOW_AWS_NAMES` (false), `DEFAULT_LAYOUT` (bundle), and those of [`Limits`].
impl Section for Settings {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        // CloudFormation's rule for stack names. It also keeps the name out of the syntax of tag filters.
        let rule = "a stack's name, a letter and at most 127 of 0-9, A-Z, a-z, -";
        let deployment = variables.required("DEPLOYMENT", rule, |text| {
            let fits = text.len() <= 128
                && text.starts_with(|first: char| first.is_ascii_alphabetic())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            fits.then(|| text.to_owned())
        });
        let maintain_may_write = flag(variables, "MAINTAIN_MAY_WRITE");
        let allow_aws_names = flag(variables, "ALLOW_AWS_NAMES");
        let layout =
            variables.optional("DEFAULT_LAYOUT", "bundle or per-name", |text| text.parse::<Layout>().ok());
        let limits = Limits::read(variables);
        Some(Self {
            maintain_may_write: maintain_may_write?,
            allow_aws_names: allow_aws_names?,
            default_layout: layout?.unwrap_or(Layout::Bundle),
            limits: limits?,
            ..Self::new(deployment?)
        })
    }
}

/// `PROVISIONING_SECONDS` (120), `PENDING_SECONDS` (86400), `LEASE_SECONDS` (1800), `LONGEST_RUN_SECONDS` (2592000).
impl Section for Limits {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let Self { provisioning, pending, lease, longest_run } = Self::default();
        let mut seconds = |variable| {
            variables.optional(variable, "a whole number of seconds, 1 to 315360000", |text| {
                let seconds = text.parse().ok().filter(|seconds| (1..=TEN_YEARS).contains(seconds))?;
                Duration::from_secs(seconds).try_into().ok()
            })
        };
        let read = [
            seconds("PROVISIONING_SECONDS"),
            seconds("PENDING_SECONDS"),
            seconds("LEASE_SECONDS"),
            seconds("LONGEST_RUN_SECONDS"),
        ];
        Some(Self {
            provisioning: read[0]?.unwrap_or(provisioning),
            pending: read[1]?.unwrap_or(pending),
            lease: read[2]?.unwrap_or(lease),
            longest_run: read[3]?.unwrap_or(longest_run),
        })
    }
}

fn flag(variables: &mut Variables<'_>, variable: &'static str) -> Option<bool> {
    let flag = variables.optional(variable, "true or false", |text| text.parse().ok())?;
    Some(flag.unwrap_or(false))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

fn is_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'\'' | b'\\' | b'<' | b'>')
    };
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/') && host.bytes().all(fits))
}

/// Far beyond any run, and far within what a date can hold.
const TEN_YEARS: u64 = 10 * 365 * 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Misconfigured, load};

    type Everything = (Table, Settings, EnvelopeKey, Bus, (RunPrefix, Launch), Oidc);

    const GOOD: [(&str, &str); 7] = [
        ("TABLE_NAME", "prod-Table-1ABC"),
        ("DEPLOYMENT", "prod"),
        ("ENVELOPE_KEY_ARN", "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"),
        ("EVENT_BUS_NAME", "prod-runs"),
        ("RUN_PREFIX", "3f2a"),
        ("API_ENDPOINT", "https://api.example.org/secrets"),
        ("COPY_KEY_ID", ""),
    ];

    fn with<S: Section>(changes: &[(&str, &str)]) -> Result<S, Misconfigured> {
        load(|name| {
            let all = changes.iter().chain(&GOOD);
            all.into_iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        })
    }

    fn faulty<S: Section>(changes: &[(&str, &str)]) -> Vec<&'static str> {
        let Err(misconfigured) = with::<S>(changes) else { return Vec::new() };
        misconfigured.faults().iter().map(|fault| fault.variable).collect()
    }

    #[test]
    fn what_is_not_set_has_the_safe_default() {
        let (table, settings, key, bus, (prefix, launch), oidc) = with::<Everything>(&[]).unwrap();
        assert_eq!((table.name.as_str(), bus.name.as_str()), ("prod-Table-1ABC", "prod-runs"));
        assert_eq!((key.arn.as_str(), prefix.as_str()), (GOOD[2].1, "3f2a"));
        assert_eq!(launch, Launch { api_endpoint: GOOD[5].1.into(), copy_key: None });
        assert_eq!(oidc, Oidc(None));
        assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::new("prod")));
    }

    #[test]
    fn what_is_set_is_taken() {
        let settings: Settings = with(&[
            ("MAINTAIN_MAY_WRITE", "true"),
            ("ALLOW_AWS_NAMES", "true"),
            ("DEFAULT_LAYOUT", "per-name"),
            ("PROVISIONING_SECONDS", "1"),
            ("PENDING_SECONDS", "2"),
            ("LEASE_SECONDS", "3"),
            ("LONGEST_RUN_SECONDS", "4"),
        ])
        .unwrap();
        assert!(settings.maintain_may_write && settings.allow_aws_names);
        assert_eq!(settings.default_layout, Layout::PerName);
        let Limits { provisioning, pending, lease, longest_run } = settings.limits;
        assert_eq!([provisioning, pending, lease, longest_run].map(|limit| limit.as_secs()), [1, 2, 3, 4]);
        let oidc: Oidc =
            with(&[("OIDC_ISSUER", "https://login.example.org"), ("OIDC_AUDIENCE", "ps")]).unwrap();
        assert_eq!(oidc.0.unwrap().audience, "ps");
    }

    #[test]
    fn every_fault_is_told_at_once_by_variable_and_rule_and_never_by_content() {
        let misconfigured = with::<Everything>(&[
            ("TABLE_NAME", ""),
            ("DEPLOYMENT", "!canary"),
            ("ENVELOPE_KEY_ARN", "alias/canary"),
            ("RUN_PREFIX", "canary"),
            ("API_ENDPOINT", "https://canary/"),
            ("LEASE_SECONDS", "canary"),
            ("OIDC_ISSUER", "https://canary"),
        ])
        .unwrap_err();
        let named: Vec<_> = misconfigured.faults().iter().map(|fault| fault.variable).collect();
        let expected = [
            "TABLE_NAME",
            "DEPLOYMENT",
            "LEASE_SECONDS",
            "ENVELOPE_KEY_ARN",
            "RUN_PREFIX",
            "API_ENDPOINT",
            "OIDC_AUDIENCE",
        ];
        assert_eq!(named, expected);
        let text = misconfigured.to_string();
        assert!(text.starts_with("TABLE_NAME is missing and must be a table's name"), "{text}");
        assert!(text.contains("; DEPLOYMENT must be a stack's name"), "{text}");
        assert!(!text.contains("canary") && !format!("{misconfigured:?}").contains("canary"));
    }

    #[test]
    fn each_rule_refuses_what_breaks_it() {
        let names = ["ab", "a b c", "arn:aws:x"];
        assert!(names.iter().all(|name| faulty::<Table>(&[("TABLE_NAME", name)]) == ["TABLE_NAME"]));
        let stacks = ["1prod", "-prod", "pr_od", "pröd", "prod "];
        assert!(stacks.iter().all(|name| faulty::<Settings>(&[("DEPLOYMENT", name)]) == ["DEPLOYMENT"]));
        let keys = ["1234abcd", "arn:aws:kms:r:1:alias/a", "arn:aws:kms:r:1:key/", "arn:aws:s3:r:1:key/1"];
        let refused =
            |key: &&str| faulty::<EnvelopeKey>(&[("ENVELOPE_KEY_ARN", key)]) == ["ENVELOPE_KEY_ARN"];
        assert!(keys.iter().all(refused));
        let urls = [
            "api.example.org",
            "https://",
            "https:///x",
            "ftp://x",
            "https://x?y",
            "https://x#y",
            "https://x y",
        ];
        assert!(urls.iter().all(|url| faulty::<Launch>(&[("API_ENDPOINT", url)]) == ["API_ENDPOINT"]), "URL");
        for seconds in ["0", "-1", "1.5", "315360001", "99999999999999999999"] {
            assert_eq!(faulty::<Limits>(&[("LEASE_SECONDS", seconds)]), ["LEASE_SECONDS"], "{seconds}");
        }
        assert_eq!(faulty::<Settings>(&[("ALLOW_AWS_NAMES", "yes")]), ["ALLOW_AWS_NAMES"]);
        assert_eq!(faulty::<Settings>(&[("DEFAULT_LAYOUT", "Bundle")]), ["DEFAULT_LAYOUT"]);
        assert_eq!(faulty::<Oidc>(&[("OIDC_AUDIENCE", "x")]), ["OIDC_ISSUER"]);
        assert_eq!(faulty::<Bus>(&[("EVENT_BUS_NAME", "a:b")]), ["EVENT_BUS_NAME"]);
    }

    #[test]
    fn a_variable_that_two_sections_read_is_told_once() {
        assert_eq!(faulty::<(Limits, Settings)>(&[("LEASE_SECONDS", "x")]), ["LEASE_SECONDS"]);
    }
}
