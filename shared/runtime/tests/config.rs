//! The rules for environment variables, tested through the sections that functions load.

use domain::copies::Layout;
use domain::ids::RunPrefix;
use domain::issuer::Issuers;
use domain::settings::{LaunchWithoutWorkspace, Limits, LiveLimits, Settings};
use runtime::config::{
    Bus, ComputeEnvironments, EnvelopeKey, Home, Launch, Misconfigured, Section, Table, load,
};

type Everything = (Table, Settings, EnvelopeKey, Bus, (RunPrefix, Launch), Issuers);

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
fn a_missing_variable_has_a_safe_default() {
    let (table, settings, key, bus, (prefix, launch), issuers) = with::<Everything>(&[]).unwrap();
    assert_eq!((table.name.as_str(), bus.name.as_str()), ("prod-Table-1ABC", "prod-runs"));
    assert_eq!((key.arn.as_str(), prefix.as_str()), (GOOD[2].1, "3f2a"));
    assert_eq!(launch, Launch { api_endpoint: GOOD[5].1.into(), copy_key: None });
    assert_eq!(issuers, Issuers::default());
    assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::new("prod")));
}

#[test]
fn variables_override_the_defaults() {
    let settings: Settings = with(&[
        ("MAINTAIN_MAY_WRITE", "true"),
        ("ALLOW_AWS_NAMES", "true"),
        ("DEFAULT_LAYOUT", "plugin"),
        ("MAX_TOKEN_DAYS", "30"),
        ("PROVISIONING_SECONDS", "1"),
        ("PENDING_SECONDS", "2"),
        ("LEASE_SECONDS", "3"),
        ("LONGEST_RUN_SECONDS", "4"),
        ("HEAD_JOB_GRACE_SECONDS", "9"),
        ("LIVE_RUNS_PER_USER", "5"),
        ("LIVE_RUNS_PER_WORKSPACE", "6"),
        ("LIVE_COPIES_PER_USER", "7"),
        ("LIVE_COPIES_PER_WORKSPACE", "8"),
        ("LAUNCH_WITHOUT_WORKSPACE", "none"),
    ])
    .unwrap();
    assert!(settings.maintain_may_write && settings.allow_aws_names);
    assert_eq!(settings.default_layout, Layout::Plugin);
    assert_eq!(settings.max_token_life.as_hours(), 30 * 24);
    let Limits { provisioning, pending, lease, longest_run, head_job_grace } = settings.limits;
    let limits = [provisioning, pending, lease, longest_run, head_job_grace];
    assert_eq!(limits.map(|limit| limit.as_secs()), [1, 2, 3, 4, 9]);
    let issuers = r#"[{"issuer":"https://login.example.org","audience":"ps","kind":"people"}]"#;
    let issuers: Issuers = with(&[("OIDC_ISSUERS", issuers)]).unwrap();
    assert_eq!(issuers.all()[0].audience, "ps");
    let LiveLimits { runs_per_user, runs_per_workspace, copies_per_user, copies_per_workspace } =
        settings.live_limits;
    assert_eq!([runs_per_user, runs_per_workspace, copies_per_user, copies_per_workspace], [5, 6, 7, 8]);
    assert_eq!(settings.launch_without_workspace, LaunchWithoutWorkspace::NoOne);
}

#[test]
fn all_faults_are_reported_with_variable_and_rule_but_without_content() {
    let misconfigured = with::<Everything>(&[
        ("TABLE_NAME", ""),
        ("DEPLOYMENT", "!canary"),
        ("ENVELOPE_KEY_ARN", "alias/canary"),
        ("RUN_PREFIX", "canary"),
        ("API_ENDPOINT", "https://canary/"),
        ("LEASE_SECONDS", "canary"),
        ("OIDC_ISSUERS", r#"[{"issuer":"https://canary","audience":"canary","kind":"people","canary":1}]"#),
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
        "OIDC_ISSUERS",
    ];
    assert_eq!(named, expected);
    let text = misconfigured.to_string();
    assert!(text.starts_with("TABLE_NAME is missing and must be a table name"), "{text}");
    assert!(text.contains("; DEPLOYMENT must be a stack name"), "{text}");
    assert!(text.contains("; OIDC_ISSUERS must be a list of at most three"), "{text}");
    assert!(!text.contains("canary") && !format!("{misconfigured:?}").contains("canary"));
}

#[test]
fn invalid_values_are_refused() {
    let names = ["ab", "a b c", "arn:aws:x"];
    assert!(names.iter().all(|name| faulty::<Table>(&[("TABLE_NAME", name)]) == ["TABLE_NAME"]));
    let stacks = ["1prod", "-prod", "pr_od", "pröd", "prod "];
    assert!(stacks.iter().all(|name| faulty::<Settings>(&[("DEPLOYMENT", name)]) == ["DEPLOYMENT"]));
    let keys = ["1234abcd", "arn:aws:kms:r:1:alias/a", "arn:aws:kms:r:1:key/", "arn:aws:s3:r:1:key/1"];
    let refused = |key: &&str| faulty::<EnvelopeKey>(&[("ENVELOPE_KEY_ARN", key)]) == ["ENVELOPE_KEY_ARN"];
    assert!(keys.iter().all(refused));
    let urls = [
        "api.example.org",
        "https://",
        "https:///x",
        "ftp://x",
        "https://x?y",
        "https://x#y",
        "https://x y",
        "https://x/",
        "http://api.example.org",
        "https://u@x",
    ];
    assert!(urls.iter().all(|url| faulty::<Launch>(&[("API_ENDPOINT", url)]) == ["API_ENDPOINT"]), "URL");
    for seconds in ["0", "-1", "1.5", "315360001", "99999999999999999999"] {
        assert_eq!(faulty::<Limits>(&[("LEASE_SECONDS", seconds)]), ["LEASE_SECONDS"], "{seconds}");
    }
    for days in ["0", "-1", "3651", "1.5", "x"] {
        assert_eq!(faulty::<Settings>(&[("MAX_TOKEN_DAYS", days)]), ["MAX_TOKEN_DAYS"], "{days}");
    }
    for number in ["0", "-1", "1.5", "10001"] {
        let variable = [("LIVE_RUNS_PER_USER", number)];
        assert_eq!(faulty::<LiveLimits>(&variable), ["LIVE_RUNS_PER_USER"], "{number}");
    }
    let without = [("LAUNCH_WITHOUT_WORKSPACE", "Everyone")];
    assert_eq!(faulty::<Settings>(&without), ["LAUNCH_WITHOUT_WORKSPACE"]);
    assert_eq!(faulty::<Settings>(&[("ALLOW_AWS_NAMES", "yes")]), ["ALLOW_AWS_NAMES"]);
    assert_eq!(faulty::<Settings>(&[("DEFAULT_LAYOUT", "Bundle")]), ["DEFAULT_LAYOUT"]);
    assert_eq!(faulty::<Issuers>(&[("OIDC_ISSUERS", "https://login.example.org")]), ["OIDC_ISSUERS"]);
    let home = [("ACCOUNT_ID", "1234"), ("AWS_REGION", "eu central")];
    assert_eq!(faulty::<Home>(&home), ["ACCOUNT_ID", "AWS_REGION"]);
    assert_eq!(faulty::<Bus>(&[("EVENT_BUS_NAME", "a:b")]), ["EVENT_BUS_NAME"]);
}

#[test]
fn a_fault_of_a_variable_in_two_sections_is_reported_once() {
    assert_eq!(faulty::<(Limits, Settings)>(&[("LEASE_SECONDS", "x")]), ["LEASE_SECONDS"]);
}

#[test]
fn without_compute_accounts_there_are_none_and_with_them_roles_and_bus_are_required() {
    let role = "arn:aws:iam::111122223333:role/function";
    let roles = &[role; 4].join(",");
    let bus = "arn:aws-us-gov:events:us-gov-west-1:111122223333:event-bus/prod-environments";
    let none: ComputeEnvironments = with(&[("SERVICE_ROLES", roles)]).unwrap();
    assert_eq!((none.accounts.len(), none.partition()), (0, ""));
    let good = [
        ("COMPUTE_ACCOUNTS", "210987654321,333333333333"),
        ("SERVICE_ROLES", roles),
        ("ENVIRONMENT_BUS_ARN", bus),
    ];
    let read: ComputeEnvironments = with(&good).unwrap();
    assert_eq!((read.accounts.len(), read.roles.len(), read.partition()), (2, 4, "aws-us-gov"));
    let one = ("COMPUTE_ACCOUNTS", "210987654321");
    assert_eq!(faulty::<ComputeEnvironments>(&[one]), ["SERVICE_ROLES", "ENVIRONMENT_BUS_ARN"]);
    for accounts in ["2109", "210987654321,", "210987654321 333333333333", "*"] {
        let changes = [("COMPUTE_ACCOUNTS", accounts)];
        assert_eq!(faulty::<ComputeEnvironments>(&changes), ["COMPUTE_ACCOUNTS"], "{accounts}");
    }
    for (variable, text) in [
        ("SERVICE_ROLES", &roles.replace("role/", "user/")),
        ("SERVICE_ROLES", &roles.replace("function", "")),
        ("SERVICE_ROLES", &[role; 3].join(",")),
        ("SERVICE_ROLES", &[role; 5].join(",")),
        ("ENVIRONMENT_BUS_ARN", &"prod-environments".to_owned()),
    ] {
        let changes = [one, (variable, text), good[1], good[2]];
        assert_eq!(faulty::<ComputeEnvironments>(&changes), [variable], "{text}");
    }
}
