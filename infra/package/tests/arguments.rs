//! The operators' scripts explain themselves and refuse arguments that they could misread, before
//! they call AWS.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::process::{Command, Output};

use package_functions::checkout;

fn run(script: &str, arguments: &[&str]) -> Output {
    let script = checkout().unwrap().join("infra").join(script);
    Command::new(script).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap()
}

#[test]
fn each_script_prints_its_usage_when_asked_for_help() {
    for script in ["deploy", "verify", "reconcile", "check-audit"] {
        let output = run(script, &["--help"]);
        let usage = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && usage.starts_with("usage: ") && usage.contains(script), "{usage}");
    }
}

#[test]
fn a_time_without_a_zone_or_in_the_future_is_refused() {
    let (shape, future) = ("write it as 2026-11-24T10:00:00Z", "is in the future");
    for script in ["reconcile", "check-audit"] {
        for (time, reason) in [
            ("yesterday", shape),
            ("", shape),
            ("2026-01-01", shape),
            ("2026-01-01T00:00:00", shape),
            ("2026-13-01T00:00:00Z", shape),
            ("9000-01-01T00:00:00Z", future),
            ("9000-01-01T00:00:00+01:00", future),
        ] {
            let output = run(script, &["--since", time]);
            let message = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{script} {time}: {message}");
            assert!(message.contains(reason), "{script} {time}: {message}");
        }
    }
}
