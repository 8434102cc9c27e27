//! The lease is renewed while the command runs, and the end is reported. Failures of either do not
//! affect the command.

use std::fs;

use real_clients::{Answer, Harness, RUN_TOKEN, Run, WORKFLOW, under_every_shell, wait_until};

fn heartbeat() -> String {
    format!("POST /runs/{WORKFLOW}/heartbeat")
}

fn end() -> String {
    format!("POST /runs/{WORKFLOW}/end")
}

/// Runs a command until `number` heartbeats have arrived.
fn run_for(harness: &Harness, number: usize) -> real_clients::Outcome {
    let mut command = harness.command([
        "--",
        "sh",
        "-c",
        "touch runs; until [ -e may-end ]; do sleep 0.05; done; cat $NXF_SECRETS_FILE",
    ]);
    let run = Run::start(command.env("PIPELINE_SECRETS_HEARTBEAT_SECONDS", "1"));
    harness.service.wait_for(&heartbeat(), number);
    wait_until("the command runs", || harness.path("runs").exists());
    fs::write(harness.path("may-end"), "").expect("a file");
    run.finish()
}

#[test]
fn the_lease_is_renewed_with_the_runs_own_token() {
    under_every_shell(|harness| {
        let outcome = run_for(harness, 2);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        let request = harness
            .service
            .requests()
            .into_iter()
            .find(|request| request.line == heartbeat())
            .expect("a heartbeat");
        assert_eq!(request.header("authorization"), format!("Bearer {RUN_TOKEN}"));
        assert_eq!(request.body, "");
    });
}

#[test]
fn a_network_partition_longer_than_the_lease_does_not_end_the_command() {
    under_every_shell(|harness| {
        for failure in ["lost", "rejected", "ended"] {
            let harness = Harness::like(harness);
            for number in 0..3 {
                harness.service.next(&heartbeat(), move |_| match failure {
                    "lost" => Answer::Lost,
                    "rejected" => Answer::error(500 + number, "down"),
                    _ => Answer::Whole(200, r#"{"state":"ended"}"#.to_owned()),
                });
            }
            let mut command = harness.command([
                "--",
                "sh",
                "-c",
                "touch runs; until [ -e may-end ]; do sleep 0.05; done; cat $NXF_SECRETS_FILE",
            ]);
            let run = Run::start(
                command
                    .env("PIPELINE_SECRETS_HEARTBEAT_SECONDS", "1")
                    .env("PIPELINE_SECRETS_LEASE_SECONDS", "1"),
            );
            harness.service.wait_for(&heartbeat(), 3);
            fs::write(harness.path("may-end"), "").expect("a file");
            let outcome = run.finish();
            assert_eq!((outcome.status, outcome.stdout.as_str()), (0, real_clients::STORE), "{outcome:?}");
            assert_eq!(
                outcome.stderr.matches("; the command continues").count(),
                1,
                "reported more than once: {outcome:?}"
            );
            assert!(harness.stores().is_empty());
            assert_eq!(harness.service.end()["success"], true);
        }
    });
}

#[test]
fn the_report_of_the_end_is_retried() {
    under_every_shell(|harness| {
        harness.service.next(&end(), |_| Answer::Lost);
        harness.service.next(&end(), |_| Answer::error(503, "later"));
        let outcome = harness.run("exit 5");
        assert_eq!(outcome.status, 5, "{outcome:?}");
        assert_eq!(harness.service.count(&end()), 3);
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    });
}

#[test]
fn a_failed_report_of_the_end_does_not_change_the_exit_status() {
    under_every_shell(|harness| {
        for (status, tries) in [(500, 4), (429, 4), (404, 1), (403, 1)] {
            let harness = Harness::like(harness);
            harness.service.always(&end(), status, r#"{"message":"not now"}"#);
            let outcome = harness.run("exit 5");
            assert_eq!(outcome.status, 5, "{outcome:?}");
            assert_eq!(harness.service.count(&end()), tries, "{outcome:?}");
            assert!(outcome.stderr.contains(&format!("was not reported ({status}): not now")), "{outcome:?}");
            assert!(harness.stores().is_empty());
        }
    });
}
