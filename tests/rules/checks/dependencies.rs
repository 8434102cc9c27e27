//! The crates that each crate may link. Ports, like IAM policies, are split by permission, and so
//! are the AWS services behind them.

use std::collections::BTreeSet;
use std::process::Command;

use crate::root;

/// The AWS services that each function has permissions for (its policy in `infra/template.yaml`).
const FUNCTIONS: [(&str, &[&str]); 9] = [
    ("authorizer", &["dynamodb"]),
    ("identity", &["dynamodb", "eventbridge", "sts"]),
    ("read-secrets", &["dynamodb"]),
    ("write-secrets", &["dynamodb", "kms"]),
    ("launch-run", &["dynamodb", "eventbridge", "kms", "secretsmanager", "sts"]),
    ("claim-run", &["dynamodb", "eventbridge", "kms"]),
    ("report-run", &["batch", "dynamodb", "eventbridge", "sts"]),
    ("cleanup-run", &["batch", "dynamodb", "secretsmanager", "sts"]),
    ("console", &[]),
];

/// The services whose AWS clients a crate links.
fn services(package: &str) -> BTreeSet<String> {
    let tree = links(package);
    tree.lines()
        .filter_map(|line| line.split_whitespace().next()?.strip_prefix("aws-sdk-"))
        .map(str::to_owned)
        .collect()
}

/// All crates that a crate links, one per line.
fn links(package: &str) -> String {
    cargo_tree(&["--package", package, "--edges", "normal"])
}

fn cargo_tree(selection: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--offline", "--prefix", "none"])
        .args(selection)
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_function_links_only_the_services_that_it_has_permissions_for() {
    for (function, expected) in FUNCTIONS {
        let expected: BTreeSet<_> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(services(function), expected, "{function}");
    }
    let folders = std::fs::read_dir(root().join("functions")).expect("functions");
    assert_eq!(folders.count(), FUNCTIONS.len(), "FUNCTIONS must list every function");
}

#[test]
fn the_domain_and_the_http_api_link_no_aws_crate() {
    for package in ["domain", "http-api"] {
        assert_eq!(services(package), BTreeSet::new(), "{package}");
        let forbidden = ["lambda_runtime", "aws-config", "reqwest", "hyper", "tokio"];
        let tree = links(package);
        let linked: Vec<_> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        let found: Vec<_> = forbidden.iter().filter(|name| linked.contains(name)).collect();
        assert!(found.is_empty(), "{package} links {found:?}");
    }
}

#[test]
fn no_function_links_the_description_of_the_api() {
    for (function, _) in FUNCTIONS {
        let tree = links(function);
        let described = |line: &&str| {
            ["openapi v", "schemars v", "jsonschema v"].iter().any(|start| line.starts_with(start))
        };
        assert_eq!(tree.lines().find(described), None, "{function} enables the feature `schema`");
    }
}

#[test]
fn no_function_links_a_second_tls_stack() {
    for (function, _) in FUNCTIONS {
        let tree = links(function);
        let second = |line: &&str| {
            ["ring v", "openssl v", "native-tls v", "hyper v0."].iter().any(|start| line.starts_with(start))
        };
        assert_eq!(tree.lines().find(second), None, "{function}");
    }
}

#[test]
fn the_local_stack_and_the_tests_share_one_build() {
    let built = |edges: &str| -> BTreeSet<String> {
        let tree = cargo_tree(&["--workspace", "--edges", edges, "--format", "{p} [{f}]"]);
        let crates = tree.lines().map(|line| line.trim_end_matches(" (*)"));
        // Members are always compiled for their tests.
        crates.filter(|line| !line.contains(" (/")).map(str::to_owned).collect()
    };
    let (local_stack, tests) = (built("no-dev"), built("normal,build,dev"));
    let twice: Vec<_> = local_stack.difference(&tests).collect();
    assert!(twice.is_empty(), "compiled again for the tests, with other features: {twice:#?}");
}
