//! A missing, empty or misspelt setting never changes silently what a run gets.

use real_clients::{Harness, Outcome, under_every_shell};

fn assert_refused(harness: &Harness, outcome: &Outcome, name: &str) {
    assert_eq!(outcome.status, 64, "{outcome:?}");
    assert!(outcome.stderr.contains(name), "the message names {name}: {outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(harness.service.requests().is_empty() && !harness.path("ran").exists(), "{outcome:?}");
}

#[test]
fn an_option_with_an_empty_value_is_refused() {
    let options = [
        "--endpoint",
        "--workspace",
        "--token-file",
        "--dir",
        "--platform",
        "--workspace-secrets",
        "--user-secrets",
        "--optional",
        "--launch-file",
    ];
    under_every_shell(|harness| {
        for option in options {
            let outcome = harness.finish(&mut harness.command([option, "", "--", "touch", "ran"]));
            assert_refused(harness, &outcome, option);
            let outcome = harness.finish(&mut harness.command(["--report", option]));
            assert_refused(harness, &outcome, option);
        }
    });
}

#[test]
fn a_plain_http_endpoint_is_refused_unless_its_host_is_loopback() {
    let endpoints = [
        "http://example.org",
        "http://localhost.example.org",
        "http://example.org:80:x.localhost",
        "http://example.org%2f.localhost",
        "http://[example]x.localhost:5",
    ];
    under_every_shell(|harness| {
        for endpoint in endpoints {
            let outcome =
                harness.finish(&mut harness.command(["--endpoint", endpoint, "--", "touch", "ran"]));
            assert_refused(harness, &outcome, "");
        }
    });
}

#[test]
fn an_empty_variable_is_refused() {
    let variables = [
        "ENDPOINT",
        "WORKSPACE",
        "TOKEN_FILE",
        "TOKEN",
        "DIR",
        "WORKFLOW_ID",
        "CLAIM_TOKEN",
        "RUN_TOKEN",
        "HEARTBEAT_SECONDS",
        "LEASE_SECONDS",
        "RETRY_SECONDS",
    ];
    under_every_shell(|harness| {
        for variable in variables {
            let variable = format!("PIPELINE_SECRETS_{variable}");
            let mut command = harness.command(["--", "touch", "ran"]);
            let outcome = harness.finish(command.env(&variable, ""));
            assert_refused(harness, &outcome, &format!("{variable} is set but empty"));
        }
    });
}

#[test]
fn a_variable_that_only_exists_as_an_option_is_refused() {
    under_every_shell(|harness| {
        for variable in ["USER_SECRETS", "WORKSPACE_SECRETS", "OPTIONAL", "PLATFORM", "LAUNCH_FILE"] {
            let variable = format!("PIPELINE_SECRETS_{variable}");
            let mut command = harness.command(["--", "touch", "ran"]);
            let outcome = harness.finish(command.env(&variable, "none"));
            assert_refused(harness, &outcome, &variable);
        }
    });
}

#[test]
fn an_option_that_is_taken_for_a_value_is_refused() {
    under_every_shell(|harness| {
        for option in ["--workspace", "--workspace-secrets", "--user-secrets", "--optional"] {
            for words in [[option, "--report", "--"], [option, "--", "--"], [option, "-", "--"]] {
                let arguments = words.iter().chain(&["touch", "ran"]);
                let outcome = harness.finish(&mut harness.command(arguments));
                assert_refused(harness, &outcome, "must be");
            }
        }
    });
}
