//! The store is removed however the script ends.

use std::fs;

use real_clients::{Answer, Harness, RUN_TOKEN, Run, WORKFLOW, signal, under_every_shell, wait_until};
use serde_json::json;

/// A command that shows when it runs and how it ended.
const COMMAND: &str = "trap 'echo got TERM; exit 9' TERM; touch runs; while :; do sleep 0.05; done";

fn start(harness: &Harness, script: &str) -> Run {
    let run = Run::start(&mut harness.command(["--", "sh", "-c", script]));
    wait_until("the command runs", || harness.path("runs").exists());
    run
}

#[test]
fn every_stop_signal_removes_the_store_and_ends_the_command() {
    under_every_shell(|harness| {
        for name in ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "XCPU"] {
            let harness = Harness::like(harness);
            let run = start(&harness, COMMAND);
            run.signal(name);
            let outcome = run.finish();
            assert_eq!((outcome.status, outcome.stdout.as_str()), (9, "got TERM\n"), "{name}: {outcome:?}");
            assert_eq!(outcome.stderr.lines().count(), 1, "{name}: {outcome:?}");
            assert!(harness.stores().is_empty(), "{name}");
            assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 9}), "{name}");
        }
    });
}

#[test]
fn a_stop_signal_removes_the_store_before_the_command_ends() {
    under_every_shell(|harness| {
        let run =
            start(harness, "trap : TERM; touch runs; until [ -e may-end ]; do sleep 0.05; done; exit 4");
        run.signal("TERM");
        wait_until("the store is removed", || harness.stores().is_empty());
        run.signal("TERM");
        run.signal("INT");
        fs::write(harness.path("may-end"), "").expect("a file");
        let outcome = run.finish();
        assert_eq!(outcome.status, 4, "{outcome:?}");
        assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 4}));
    });
}

#[test]
fn a_command_ended_by_a_signal_gives_its_exit_status() {
    under_every_shell(|harness| {
        let run = start(harness, "touch runs; exec sleep 600");
        run.signal("TERM");
        let outcome = run.finish();
        assert_eq!(outcome.status, 143, "{outcome:?}");
        assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 143}));
        assert!(harness.stores().is_empty());
    });
}

#[test]
fn a_signal_before_the_command_starts_prevents_its_start() {
    under_every_shell(|harness| {
        for step in ["/launches", &format!("/runs/{WORKFLOW}/claim")] {
            let harness = Harness::like(harness);
            let (script, line) = (harness.path("script.pid"), format!("POST {step}"));
            harness.service.next(&line, move |_| {
                wait_until("the script's process id is known", || script.exists());
                let process =
                    fs::read_to_string(&script).expect("a number").trim().parse().expect("a number");
                signal(process, "TERM");
                Answer::Lost
            });
            let run = Run::start(&mut harness.command(["--", "touch", "ran"]));
            fs::write(harness.path("number"), run.id().to_string()).expect("a file");
            fs::rename(harness.path("number"), harness.path("script.pid")).expect("a file");
            let outcome = run.finish();
            assert_eq!(outcome.status, 143, "{step}: {outcome:?}");
            assert!(harness.stores().is_empty() && !harness.path("ran").exists(), "{step}: {outcome:?}");
            if step != "/launches" {
                assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 143}));
            }
        }
    });
}

#[test]
fn the_guard_cleans_up_after_a_killed_script() {
    under_every_shell(|harness| {
        let mut command =
            harness.command(["--", "sh", "-c", "touch runs; until [ -e may-end ]; do sleep 0.05; done"]);
        let run = Run::start(command.env("PIPELINE_SECRETS_HEARTBEAT_SECONDS", "1"));
        wait_until("the command runs", || harness.path("runs").exists());
        run.signal("KILL");
        let heartbeats = harness.service.count(&format!("POST /runs/{WORKFLOW}/heartbeat"));
        harness.service.wait_for(&format!("POST /runs/{WORKFLOW}/heartbeat"), heartbeats + 2);
        assert_eq!(harness.stores().len(), 1, "the command still runs");
        fs::write(harness.path("may-end"), "").expect("a file");
        harness.service.wait_for(&format!("POST /runs/{WORKFLOW}/end"), 1);
        let outcome = run.finish();
        assert_eq!(outcome.status, 137, "{outcome:?}");
        assert!(harness.stores().is_empty());
        assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 1}));
    });
}

#[test]
fn no_process_of_the_script_outlives_it() {
    under_every_shell(|harness| {
        // `finish` reads until no process has the output open. A sleeping guard would keep it open
        // for two minutes.
        let started = std::time::Instant::now();
        let outcome = harness.run("exec sleep 0.2");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(started.elapsed().as_secs() < 60);
        let home = harness.home.path().to_str().expect("a path").to_owned();
        wait_until("no process has this home", || {
            !fs::read_dir("/proc").expect("/proc").flatten().any(|process| {
                fs::read(process.path().join("environ"))
                    .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(&home))
            })
        });
        assert!(!outcome.stderr.contains(RUN_TOKEN));
    });
}
