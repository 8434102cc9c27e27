//! The command's environment, and the script file.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use real_clients::{RUN_TOKEN, WORKFLOW, script, shells, skip, under_every_shell};

#[test]
fn report_makes_nextflow_report_its_run() {
    under_every_shell(|harness| {
        let script = r#"printf '%s\n' "$TOWER_API_ENDPOINT" "$TOWER_ACCESS_TOKEN" "$TOWER_WORKFLOW_ID" "$TOWER_WORKSPACE_ID" "$@""#;
        let outcome = harness.finish(
            &mut harness
                .command(["--report", "--", "sh", "-c", script, "nextflow", "run", "main.nf", "--flag"]),
        );
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let endpoint = harness.service.endpoint();
        assert_eq!(
            outcome.stdout,
            format!(
                "{endpoint}\n{RUN_TOKEN}\n{WORKFLOW}\n42\nrun\nmain.nf\n--flag\n-with-tower\n{endpoint}\n"
            )
        );
    });
}

#[test]
fn without_report_the_users_tower_settings_are_unchanged() {
    under_every_shell(|harness| {
        let mut command = harness.command([
            "--",
            "sh",
            "-c",
            "echo ${TOWER_ACCESS_TOKEN-none} ${TOWER_WORKFLOW_ID-none} $#",
            "sh",
        ]);
        let outcome = harness.finish(command.env("TOWER_ACCESS_TOKEN", "another-service"));
        assert_eq!(outcome.stdout, "another-service none 0\n", "{outcome:?}");
    });
}

#[test]
fn the_command_keeps_standard_input_arguments_directory_and_umask() {
    under_every_shell(|harness| {
        fs::write(harness.path("input"), "line one\nline two\n").expect("a file");
        let mut command = harness.command([
            "--",
            "sh",
            "-c",
            "cat; pwd; umask; printf '<%s>' \"$@\"",
            "sh",
            "a b",
            "",
            "*",
            "$x",
            "--help",
        ]);
        command.stdin(fs::File::open(harness.path("input")).expect("the file"));
        let outcome = harness.finish(&mut command);
        let mask = harness.finish(&mut harness.command(["--help"]));
        assert_eq!(mask.status, 0);
        let home = harness.home.path().canonicalize().expect("a path");
        let lines: Vec<_> = outcome.stdout.lines().collect();
        assert_eq!(lines[..3], ["line one", "line two", home.to_str().expect("a path")], "{outcome:?}");
        assert!(!lines[3].ends_with("77"), "the command has the script's umask: {outcome:?}");
        assert_eq!(lines[4], "<a b><><*><$x><--help>");
    });
}

#[test]
fn help_explains_every_option_and_variable() {
    under_every_shell(|harness| {
        let outcome = harness.finish(&mut harness.command(["--help"]));
        let script = fs::read_to_string(script()).expect("the script");
        for word in script.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            // The last one is not a variable.
            if word.starts_with("PIPELINE_SECRETS_") && word != "PIPELINE_SECRETS_SALT" {
                assert!(outcome.stdout.contains(word), "{word}");
            }
        }
        assert!(outcome.stdout.lines().all(|line| line.chars().count() <= 100), "{outcome:?}");
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
        assert!(harness.service.requests().is_empty());
    });
}

#[test]
fn the_script_is_executable() {
    let mode = fs::metadata(script()).expect("the script").permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
}

#[test]
fn the_script_runs_under_every_shell_that_a_cluster_may_have() {
    for shell in ["dash", "bash", "busybox"] {
        if !shells().iter().any(|words| words[0] == shell) {
            skip(&format!("the script under {shell}: {shell} is not installed"));
        }
    }
}

#[test]
fn shellcheck_finds_nothing_in_the_script() {
    match Command::new("shellcheck").arg(script()).output() {
        Ok(checked) => assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout)),
        Err(_) => skip("shellcheck: it is not installed"),
    }
}
