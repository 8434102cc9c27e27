//! Commands that return before their pipeline ends.

use std::fs;

use real_clients::{Harness, Run, WORKFLOW, under_every_shell, wait_until};
use serde_json::json;

/// A process that uses the secrets after its parent has ended, until a file exists.
const LATER: &str = "touch runs; until [ -e may-end ]; do sleep 0.1; done; cat $NXF_SECRETS_FILE >seen";

/// Starts a command, waits until the script notices what it left behind, and checks that the store
/// and the lease are kept.
fn start_and_leave(harness: &Harness, command: &[&str]) -> Run {
    let heartbeat = format!("POST /runs/{WORKFLOW}/heartbeat");
    let mut command = harness.command(["--"].iter().chain(command));
    command.env("LATER", LATER).env("PIPELINE_SECRETS_HEARTBEAT_SECONDS", "1");
    let run = Run::start(&mut command);
    wait_until("the process runs", || harness.path("runs").exists());
    harness.service.wait_for(&heartbeat, 7); // longer than processes get to end
    assert_eq!(harness.stores().len(), 1, "the store is kept");
    assert_eq!(harness.service.count(&format!("POST /runs/{WORKFLOW}/end")), 0);
    run
}

#[test]
fn a_command_that_would_detach_is_refused_before_the_launch() {
    let commands: &[&[&str]] = &[
        &["nextflow", "run", "main.nf", "-bg"],
        &["nextflow", "-bg", "run", "main.nf"],
        &["sh", "-c", "nextflow -bg run main.nf"],
        &["sbatch", "head.sh"],
        &["env", "A=b", "nohup", "/usr/bin/sbatch", "--export=ALL", "head.sh"],
        &["bsub", "head.sh"],
        &["qsub", "head.sh"],
        &["at", "-f", "head.sh", "now"],
        &["screen", "-dm", "nextflow", "run", "main.nf"],
        &["tmux", "new", "-d", "nextflow run main.nf"],
        &["setsid", "--fork", "nextflow", "run", "main.nf"],
        &["systemd-run", "--user", "nextflow", "run", "main.nf"],
    ];
    under_every_shell(|harness| {
        for program in ["nextflow", "sbatch", "bsub", "qsub", "at", "screen", "tmux", "setsid", "systemd-run"]
        {
            harness.write_program(program, "#!/bin/sh\ntouch ran\n");
        }
        for command in commands {
            let outcome = harness.finish(&mut harness.command(["--"].iter().chain(*command)));
            assert_eq!(outcome.status, 64, "{outcome:?}");
            assert!(outcome.stderr.contains("put this script in the background instead"), "{outcome:?}");
        }
        let mut command = harness.command(["--", "nextflow", "run", "main.nf"]);
        let outcome = harness.finish(command.env("NXF_CLI_OPTS", "-q -bg"));
        assert_eq!(outcome.status, 64, "{outcome:?}");
        assert!(outcome.stderr.contains("NXF_CLI_OPTS contains -bg"), "{outcome:?}");
        assert!(harness.service.requests().is_empty() && !harness.path("ran").exists());
    });
}

#[test]
fn a_command_that_waits_is_not_refused() {
    let commands: &[&[&str]] = &[
        &["sbatch", "--wait", "head.sh"],
        &["bsub", "-K", "head.sh"],
        &["qsub", "-sync", "y", "head.sh"],
        &["nohup", "nextflow", "run", "main.nf", "--group", "-bgx", "--tool", "sbatch"],
        &["setsid", "nextflow", "run", "main.nf"],
    ];
    under_every_shell(|harness| {
        for command in commands {
            let harness = Harness::like(harness);
            for program in ["nextflow", "sbatch", "bsub", "qsub"] {
                harness.write_program(program, "#!/bin/sh\n");
            }
            let outcome = harness.finish(&mut harness.command(["--"].iter().chain(*command)));
            assert_eq!(outcome.status, 0, "{outcome:?}");
        }
    });
}

#[test]
fn what_a_command_leaves_behind_keeps_its_secrets() {
    let commands: &[&[&str]] = &[
        &["sh", "-c", "sh -c \"$LATER\" & exit 0"],
        &["sh", "-c", "(eval \"$LATER\") & exit 0"],
        &["sh", "-c", "nohup sh -c \"$LATER\" >/dev/null 2>&1 & exit 0"],
        &["sh", "-c", "setsid sh -c \"$LATER\" </dev/null >/dev/null 2>&1 & exit 0"],
    ];
    under_every_shell(|harness| {
        std::thread::scope(|scope| {
            for command in commands {
                let harness = Harness::like(harness);
                scope.spawn(move || {
                    let run = start_and_leave(&harness, command);
                    fs::write(harness.path("may-end"), "").expect("a file");
                    let outcome = run.finish();
                    assert_eq!(outcome.status, 71, "{outcome:?}");
                    assert!(outcome.stderr.contains("still runs with the secrets"), "{outcome:?}");
                    let seen = fs::read_to_string(harness.path("seen")).expect("the store's copy");
                    assert_eq!(seen, real_clients::STORE);
                    assert!(harness.stores().is_empty());
                    assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 71}));
                });
            }
        });
    });
}

#[test]
fn a_failed_command_that_leaves_a_process_behind_keeps_its_exit_status() {
    under_every_shell(|harness| {
        let run = start_and_leave(harness, &["sh", "-c", "sh -c \"$LATER\" & exit 3"]);
        fs::write(harness.path("may-end"), "").expect("a file");
        let outcome = run.finish();
        assert_eq!(outcome.status, 3, "{outcome:?}");
    });
}

#[test]
fn a_signal_ends_what_a_command_left_behind() {
    under_every_shell(|harness| {
        let run = start_and_leave(harness, &["sh", "-c", "sh -c \"$LATER\" & exit 0"]);
        run.signal("TERM");
        let outcome = run.finish(); // waits until the process has ended
        assert_eq!(outcome.status, 71, "{outcome:?}");
        assert!(harness.stores().is_empty() && !harness.path("seen").exists());
    });
}

#[test]
fn the_guard_keeps_the_secrets_of_what_a_command_left_behind() {
    under_every_shell(|harness| {
        let run = start_and_leave(harness, &["sh", "-c", "sh -c \"$LATER\" & exit 0"]);
        run.signal("KILL");
        let heartbeat = format!("POST /runs/{WORKFLOW}/heartbeat");
        harness.service.wait_for(&heartbeat, harness.service.count(&heartbeat) + 2);
        assert_eq!(harness.stores().len(), 1);
        fs::write(harness.path("may-end"), "").expect("a file");
        harness.service.wait_for(&format!("POST /runs/{WORKFLOW}/end"), 1);
        assert_eq!(run.finish().status, 137);
        assert!(harness.stores().is_empty() && harness.path("seen").exists());
    });
}

#[test]
fn a_process_that_ends_soon_after_the_command_is_not_an_error() {
    under_every_shell(|harness| {
        let outcome = harness.run("sleep 1 & exit 0");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    });
}
