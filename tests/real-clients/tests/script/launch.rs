//! Launches, and the command's exit status.

use std::fs;

use real_clients::{Answer, CLAIM_TOKEN, Harness, RUN_TOKEN, STORE, USER_TOKEN, WORKFLOW, under_every_shell};
use serde_json::{Value, json};

#[test]
fn the_store_exists_only_while_the_command_runs() {
    under_every_shell(|harness| {
        let outcome = harness.run("cp $NXF_SECRETS_FILE seen; stat -c '%a %F' $NXF_SECRETS_FILE ${NXF_SECRETS_FILE%/*}; echo out; echo err >&2");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(outcome.stdout, "600 regular file\n700 directory\nout\n", "{outcome:?}");
        assert_eq!(outcome.stderr, format!("nextflow-with-secrets: run {WORKFLOW} has its secrets\nerr\n"));
        assert_eq!(fs::read_to_string(harness.path("seen")).expect("the copy"), STORE);
        assert_eq!(harness.stores(), Vec::<std::path::PathBuf>::new());
        let requests = harness.service.requests();
        let lines: Vec<_> =
            requests.iter().map(|request| (request.line.as_str(), request.header("authorization"))).collect();
        assert_eq!(
            lines,
            [
                ("POST /launches?workspaceId=42", format!("Bearer {USER_TOKEN}").as_str()),
                (&format!("POST /runs/{WORKFLOW}/claim"), &format!("Bearer {CLAIM_TOKEN}")),
                (&format!("POST /runs/{WORKFLOW}/end"), &format!("Bearer {RUN_TOKEN}")),
            ]
        );
        assert_eq!(requests[0].header("accept"), "text/plain");
        assert_eq!(requests[0].header("content-type"), "application/json");
        assert!(requests[0].header("idempotency-key").len() >= 16);
        assert_eq!(requests[1].header("idempotency-key"), "");
        assert_eq!(requests[1].body, "");
        assert_eq!(harness.service.end(), json!({"success": true, "exitStatus": 0}));
    });
}

#[test]
fn every_value_reaches_the_store_byte_for_byte() {
    under_every_shell(|harness| {
        let values: Vec<_> = (0..64)
            .map(|n| json!({"name": format!("S_{n}"), "value": "é\\n\n\t\"'`$x%s\\c ".repeat(1800)}))
            .collect();
        let store = Value::Array(values).to_string();
        harness.service.always(&format!("POST /runs/{WORKFLOW}/claim"), 200, &store);
        let outcome = harness.run("cp $NXF_SECRETS_FILE seen");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(fs::read_to_string(harness.path("seen")).expect("the copy") == store);
    });
}

#[test]
fn the_exit_status_is_passed_on_and_reported() {
    under_every_shell(|harness| {
        for (script, status) in
            [("exit 1", 1), ("exit 77", 77), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143)]
        {
            let harness = Harness::like(harness);
            let outcome = harness.run(script);
            assert_eq!(outcome.status, status, "{outcome:?}");
            assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": status}));
            assert!(harness.stores().is_empty());
        }
    });
}

#[test]
fn options_and_environment_select_secrets_platform_and_workspace() {
    let body = |harness: &Harness, options: &[&str], environment: &[(&str, &str)]| -> (String, Value) {
        let harness = Harness::like(harness);
        let arguments = options.iter().chain(&["--", "true"]);
        let outcome = harness.finish(harness.command(arguments).envs(environment.iter().copied()));
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let launch = harness.service.requests().remove(0);
        (launch.line, serde_json::from_str(&launch.body).expect("a JSON body"))
    };
    under_every_shell(|harness| {
        assert_eq!(body(harness, &[], &[]).1, json!({"platform": "slurm"}));
        assert_eq!(
            body(
                harness,
                &["--workspace-secrets", "A_1,b2", "--user-secrets", "none", "--optional", "C3"],
                &[]
            )
            .1,
            json!({"platform": "slurm", "workspaceSecrets": ["A_1", "b2"], "userSecrets": [], "optional": ["C3"]})
        );
        assert_eq!(body(harness, &["--platform", "moab"], &[]).1, json!({"platform": "moab"}));
        assert_eq!(body(harness, &["--workspace", "7"], &[]).0, "POST /launches?workspaceId=7");
        assert_eq!(body(harness, &["--workspace", "none"], &[]).0, "POST /launches");
        assert_eq!(body(harness, &[], &[("PIPELINE_SECRETS_WORKSPACE", "none")]).0, "POST /launches");
        for (variable, platform) in [
            ("SLURM_JOB_ID", "slurm"),
            ("LSB_JOBID", "lsf"),
            ("PBS_JOBID", "pbs-pro"),
            ("MOAB_JOBID", "moab"),
            ("SGE_TASK_ID", "grid-engine"),
        ] {
            assert_eq!(body(harness, &[], &[(variable, "1")]).1, json!({ "platform": platform }));
        }
    });
}

#[test]
fn a_rejected_launch_prints_the_services_message() {
    under_every_shell(|harness| {
        for (status, exit) in [(400, 77), (401, 77), (403, 77), (404, 77), (422, 77)] {
            let harness = Harness::like(harness);
            harness.service.always(
                "POST /launches",
                status,
                r#"{"message":"missing: \"NCBI_API_KEY\"\n\u001b and \u001b[31mLICENSE"}"#,
            );
            let outcome = harness.run("touch ran");
            assert_eq!(outcome.status, exit, "{outcome:?}");
            assert!(
                outcome.stderr.contains(&format!("launch refused ({status}): missing: 'NCBI_API_KEY'")),
                "{outcome:?}"
            );
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
            assert_eq!(harness.service.requests().len(), 1);
            assert!(!harness.path("ran").exists() && harness.stores().is_empty());
        }
    });
}

#[test]
fn terminal_codes_in_error_messages_are_not_printed() {
    under_every_shell(|harness| {
        harness.service.always("POST /launches", 404, "{\"message\":\"a\u{1b}[31mb\u{7}\u{9b}31m\"}");
        let outcome = harness.run("true");
        assert!(outcome.stderr.contains("launch refused (404): a[31mb"), "{outcome:?}");
        assert!(!outcome.stderr.contains(['\u{1b}', '\u{9b}']), "{outcome:?}");
    });
}

#[test]
fn a_launch_is_retried_with_the_same_key() {
    under_every_shell(|harness| {
        harness.service.next("POST /launches", |_| Answer::Lost);
        for status in [409, 429, 500, 503] {
            harness.service.next("POST /launches", move |_| Answer::error(status, "again"));
        }
        harness.service.next("POST /launches", |_| Answer::Cut(200, "workflowId=half".to_owned()));
        let outcome = harness.run("true");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let mut keys: Vec<_> = harness
            .service
            .requests()
            .iter()
            .filter(|r| r.line.contains("launches"))
            .map(|r| r.header("idempotency-key").to_owned())
            .collect();
        assert_eq!(keys.len(), 7);
        keys.dedup();
        assert_eq!(keys.len(), 1);
        assert_eq!(harness.service.count("POST /runs"), 2);
    });
}

#[test]
fn a_launch_is_retried_a_limited_number_of_times() {
    under_every_shell(|harness| {
        for (status, message) in [(409, "failed: down"), (500, "status 500: down"), (429, "status 429: down")]
        {
            let harness = Harness::like(harness);
            harness.service.always("POST /launches", status, r#"{"message":"down"}"#);
            let outcome = harness.run("touch ran");
            assert_eq!(outcome.status, 69, "{outcome:?}");
            assert!(outcome.stderr.contains(message), "{outcome:?}");
            assert_eq!(harness.service.count("POST /launches"), 8);
            assert!(!harness.path("ran").exists() && harness.stores().is_empty());
        }
    });
}

#[test]
fn an_unreachable_service_is_reported_with_its_endpoint() {
    under_every_shell(|harness| {
        let closed =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
        let outcome = harness.finish(
            harness.command(["--endpoint", &format!("http://{closed}"), "--", "true"]).env("no_proxy", ""),
        );
        assert_eq!(outcome.status, 69, "{outcome:?}");
        assert!(
            outcome.stderr.contains(&format!("launch at http://{closed} failed: cannot connect")),
            "{outcome:?}"
        );
    });
}

#[test]
fn an_answer_without_tokens_is_a_failed_launch() {
    under_every_shell(|harness| {
        harness.service.always("POST /launches", 200, &format!("workflowId={WORKFLOW}\nstate=running\n"));
        let outcome = harness.run("touch ran");
        assert_eq!(outcome.status, 75, "{outcome:?}");
        assert!(outcome.stderr.contains("run this script again"), "{outcome:?}");
        assert!(!harness.path("ran").exists() && harness.stores().is_empty());
        assert_eq!(harness.service.requests().len(), 1);
    });
}

#[test]
fn a_launch_waits_as_long_as_the_service_asks() {
    under_every_shell(|harness| {
        for (status, pause, least) in
            [(429, "2", 2), (503, "2", 2), (429, "Wed, 21 Oct 2015 07:28:00 GMT", 0)]
        {
            let harness = Harness::like(harness);
            harness.service.next("POST /launches", move |_| {
                Answer::Later(status, pause.to_owned(), r#"{"message":"busy"}"#.to_owned())
            });
            let started = std::time::Instant::now();
            let outcome = harness.run("true");
            assert_eq!(outcome.status, 0, "{outcome:?}");
            assert!(outcome.stderr.contains(&format!("status {status}: busy")), "{outcome:?}");
            assert!(started.elapsed().as_secs() >= least, "{pause}: {:?}", started.elapsed());
        }
    });
}

#[test]
fn curl_without_support_for_headers_in_its_output_works() {
    under_every_shell(|harness| {
        // As curl before 7.83: an unknown variable is written as it stands.
        harness.write_program("curl", "#!/bin/sh\nsed 's/%header/%%header/' | /usr/bin/curl \"$@\"\n");
        harness.service.next("POST /launches", |_| {
            Answer::Later(429, "100".to_owned(), r#"{"message":"busy"}"#.to_owned())
        });
        let outcome = harness.run("true");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(outcome.stderr.contains("status 429: busy"), "{outcome:?}");
    });
}
