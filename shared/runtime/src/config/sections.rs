//! The sections and their variables, which `infra/template.yaml` sets.

use std::borrow::Cow;
use std::time::Duration;

use domain::copies::Layout;
use domain::environment::Duty;
use domain::iam::CopyLocation;
use domain::ids::RunPrefix;
use domain::issuer::{Issuers, is_secure_url};
use domain::settings::{LaunchWithoutWorkspace, Limits, LiveLimits, Settings};

use super::{Section, Variables};

/// The DynamoDB table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// `TABLE_NAME`.
    pub name: String,
}

impl Section for Table {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let rule = "a table name: 3 to 255 of 0-9, A-Z, a-z, _ . -";
        let name = variables.required("TABLE_NAME", rule, |text| {
            let fits = (3..=255).contains(&text.len()) && text.bytes().all(is_name_byte);
            fits.then(|| text.to_owned())
        });
        Some(Self { name: name? })
    }
}

/// The KMS key that seals and opens values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnvelopeKey {
    /// `ENVELOPE_KEY_ARN`: the ARN of the key. An alias is not accepted, because it can be moved to
    /// another key.
    pub arn: String,
    /// Its partition, region and account, which are those of the deployment.
    pub home: CopyLocation,
}

impl Section for EnvelopeKey {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        variables.required("ENVELOPE_KEY_ARN", "the ARN of a KMS key, arn:…:kms:…:key/…", |text| {
            let parts: Vec<&str> = text.splitn(6, ':').collect();
            let fits = matches!(parts[..], ["arn", _, "kms", _, _, key]
                if key.strip_prefix("key/").is_some_and(|id| !id.is_empty()));
            let home = CopyLocation::of_arn(text)?;
            fits.then(|| Self { arn: text.to_owned(), home })
        })
    }
}

/// The deployment's event bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bus {
    /// `EVENT_BUS_NAME`.
    pub name: String,
}

impl Section for Bus {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let rule = "an event bus name: 1 to 256 of 0-9, A-Z, a-z, _ . - /";
        let name = variables.required("EVENT_BUS_NAME", rule, |text| {
            let fits = text.len() <= 256 && text.bytes().all(|byte| is_name_byte(byte) || byte == b'/');
            fits.then(|| text.to_owned())
        });
        Some(Self { name: name? })
    }
}

/// `RUN_PREFIX`: the prefix of all run IDs.
impl Section for RunPrefix {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        variables.required("RUN_PREFIX", "four of 0-9, A-Z, a-z", |text| Self::new(text).ok())
    }
}

/// The account and region of the function. Events and jobs of others are ignored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Home {
    /// `ACCOUNT_ID`: the account ID, 12 digits.
    pub account: String,
    /// `AWS_REGION`, which Lambda sets.
    pub region: String,
}

impl Section for Home {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let account = variables.required("ACCOUNT_ID", "an AWS account ID: 12 digits", |text| {
            (text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
        });
        let region = variables.required("AWS_REGION", "an AWS region", |text| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-').then(|| text.to_owned())
        });
        Some(Self { account: account?, region: region? })
    }
}

/// The configuration of launches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Launch {
    /// `API_ENDPOINT`: the public base URL of the API, without a trailing slash.
    pub api_endpoint: String,
    /// `COPY_KEY_ID`: the KMS key of the copies; `None` for `aws/secretsmanager`.
    pub copy_key: Option<String>,
}

impl Section for Launch {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let rule = "an https URL without user, query, fragment and trailing slash (http only on loopback)";
        let api_endpoint = variables.required("API_ENDPOINT", rule, |text| {
            (is_secure_url(text) && !text.ends_with('/')).then(|| text.to_owned())
        });
        let rule = "the ID, ARN or alias of a KMS key: at most 2048 characters without blanks";
        let copy_key = variables.optional("COPY_KEY_ID", rule, |text| {
            let fits = text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic());
            fits.then(|| text.to_owned())
        });
        Some(Self { api_endpoint: api_endpoint?, copy_key: copy_key? })
    }
}

/// Where workspaces can have compute environments, and what the roles there trust.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ComputeEnvironments {
    /// `COMPUTE_ACCOUNTS`: the allowed accounts; none by default.
    pub accounts: Vec<String>,
    /// `SERVICE_ROLES`: the ARNs of the functions' roles: one for each duty, in the order of
    /// [`Duty::ALL`].
    pub roles: Vec<String>,
    /// `ENVIRONMENT_BUS_ARN`: the ARN of the event bus for environments.
    pub bus: String,
}

impl ComputeEnvironments {
    /// Returns the partition of the deployment, which is that of the bus.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.bus.split(':').nth(1).unwrap_or_default()
    }
}

impl Section for ComputeEnvironments {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let accounts =
            variables.optional("COMPUTE_ACCOUNTS", "AWS account IDs, separated by commas", |text| {
                let is_account = |id: &String| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
                Some(list(text)).filter(|ids| ids.iter().all(is_account))
            });
        let Some(accounts) = accounts? else {
            return Some(Self { accounts: Vec::new(), roles: Vec::new(), bus: String::new() });
        };
        let rule = "the ARNs of four roles, separated by commas";
        let roles = variables.required("SERVICE_ROLES", rule, |text| {
            let is_role = |arn: &String| is_arn(arn, "iam", "role/");
            Some(list(text)).filter(|arns| arns.len() == Duty::ALL.len() && arns.iter().all(is_role))
        });
        let rule = "the ARN of an event bus, arn:…:events:…:event-bus/…";
        let bus = variables.required("ENVIRONMENT_BUS_ARN", rule, |text| {
            is_arn(text, "events", "event-bus/").then(|| text.to_owned())
        });
        Some(Self { accounts, roles: roles?, bus: bus? })
    }
}

fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts[..], ["arn", partition, of, _, _, name]
        if !partition.is_empty() && of == service && name.strip_prefix(resource).is_some_and(|id| !id.is_empty()))
}

/// `OIDC_ISSUERS`: the OpenID Connect issuers whose JSON Web Tokens are accepted, as a JSON array.
/// Without it, only personal access tokens are accepted.
impl Section for Issuers {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let issuers = variables.checked("OIDC_ISSUERS", |text| Self::parse(text).map_err(Cow::from));
        Some(issuers?.unwrap_or_default())
    }
}

/// `DEPLOYMENT`, and optional settings with safe defaults: `MAINTAIN_MAY_WRITE` (false),
/// `ALLOW_AWS_NAMES` (false), `DEFAULT_LAYOUT` (bundle), `MAX_TOKEN_DAYS` (365),
/// `LAUNCH_WITHOUT_WORKSPACE` (launchers), `RESTORED` (false), and those of [`Limits`] and
/// [`LiveLimits`].
impl Section for Settings {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        // CloudFormation's rule for stack names. It also excludes characters of the syntax of tag
        // filters.
        let rule = "a stack name: a letter and at most 127 of 0-9, A-Z, a-z, -";
        let deployment = variables.required("DEPLOYMENT", rule, |text| {
            let fits = text.len() <= 128
                && text.starts_with(|first: char| first.is_ascii_alphabetic())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            fits.then(|| text.to_owned())
        });
        let maintain_may_write = flag(variables, "MAINTAIN_MAY_WRITE");
        let allow_aws_names = flag(variables, "ALLOW_AWS_NAMES");
        let layout = variables
            .optional("DEFAULT_LAYOUT", "bundle, per-name or plugin", |text| text.parse::<Layout>().ok());
        let limits = Limits::read(variables);
        let max_token_days =
            variables.optional("MAX_TOKEN_DAYS", "a whole number of days, 1 to 3650", |text| {
                let days: u64 = text.parse().ok().filter(|days| (1..=3650).contains(days))?;
                Duration::from_secs(days * 24 * 3600).try_into().ok()
            });
        let live_limits = LiveLimits::read(variables);
        let rule = "launchers, everyone or none";
        let without_workspace =
            variables.optional("LAUNCH_WITHOUT_WORKSPACE", rule, |text| text.parse().ok());
        let restored = flag(variables, "RESTORED");
        let defaults = Self::new(deployment?);
        Some(Self {
            maintain_may_write: maintain_may_write?,
            allow_aws_names: allow_aws_names?,
            default_layout: layout?.unwrap_or(Layout::Bundle),
            limits: limits?,
            max_token_life: max_token_days?.unwrap_or(defaults.max_token_life),
            live_limits: live_limits?,
            launch_without_workspace: without_workspace?.unwrap_or(LaunchWithoutWorkspace::Launchers),
            restored: restored?,
            ..defaults
        })
    }
}

/// `PROVISIONING_SECONDS` (120), `PENDING_SECONDS` (86400), `LEASE_SECONDS` (1800),
/// `LONGEST_RUN_SECONDS` (2592000), `HEAD_JOB_GRACE_SECONDS` (604800).
impl Section for Limits {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let Self { provisioning, pending, lease, longest_run, head_job_grace } = Self::default();
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
            seconds("HEAD_JOB_GRACE_SECONDS"),
        ];
        Some(Self {
            provisioning: read[0]?.unwrap_or(provisioning),
            pending: read[1]?.unwrap_or(pending),
            lease: read[2]?.unwrap_or(lease),
            longest_run: read[3]?.unwrap_or(longest_run),
            head_job_grace: read[4]?.unwrap_or(head_job_grace),
        })
    }
}

/// `LIVE_RUNS_PER_USER` (100), `LIVE_RUNS_PER_WORKSPACE` (500), `LIVE_COPIES_PER_USER` (2000),
/// `LIVE_COPIES_PER_WORKSPACE` (10000).
impl Section for LiveLimits {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let Self { runs_per_user, runs_per_workspace, copies_per_user, copies_per_workspace } =
            Self::default();
        let mut number = |variable| {
            variables.optional(variable, "a whole number, 1 to 10000", |text| {
                text.parse().ok().filter(|number| (1..=MOST_LIVE).contains(number))
            })
        };
        let read = [
            number("LIVE_RUNS_PER_USER"),
            number("LIVE_RUNS_PER_WORKSPACE"),
            number("LIVE_COPIES_PER_USER"),
            number("LIVE_COPIES_PER_WORKSPACE"),
        ];
        Some(Self {
            runs_per_user: read[0]?.unwrap_or(runs_per_user),
            runs_per_workspace: read[1]?.unwrap_or(runs_per_workspace),
            copies_per_user: read[2]?.unwrap_or(copies_per_user),
            copies_per_workspace: read[3]?.unwrap_or(copies_per_workspace),
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

/// A launch reads an index entry of about 100 bytes for each live run, 1 MB at most in a page.
const MOST_LIVE: u32 = 10_000;

/// Far longer than any run, and far below the range of dates.
const TEN_YEARS: u64 = 10 * 365 * 24 * 3600;
