//! Pipelines whose tasks run on AWS Batch: the checks before a launch, the config and the store of
//! the head job, and head jobs that are submitted. Nextflow and the AWS CLI are small programs that
//! note their arguments. `tests/nextflow` runs the real ones.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use real_clients::{
    Answer, Harness, Outcome, RUN_TOKEN, Run, USER_TOKEN, WORKFLOW, under_every_shell, wait_until,
};
use serde_json::{Value, json};

/// Notes its arguments, prints the config in the file `flat`, and copies what it gets for a run.
const NEXTFLOW: &str = r#"#!/bin/sh
printf '%s|' "$@" >>"$HOME/nextflow.calls"; echo >>"$HOME/nextflow.calls"
for word in "$@"; do
  case $word in
    -v) echo "nextflow version $(cat "$HOME/version").9999"; exit ;;
    config) cat "$HOME/flat"; exit ;;
  esac
done
env | grep -e "$PIPELINE_SECRETS_CANARY" >"$HOME/leaked"
cp "$NXF_SECRETS_FILE" "$HOME/store"
cp "$(dirname "$NXF_SECRETS_FILE")/secrets.config" "$HOME/config"
exit "$(cat "$HOME/status" 2>/dev/null || echo 0)"
"#;

/// Notes its arguments. A file `aws.fails` is the message of every call.
const AWS: &str = r#"#!/bin/sh
printf '%s|' "$@" >>"$HOME/aws.calls"; echo >>"$HOME/aws.calls"
case $AWS_CLI_HISTORY_FILE in "$HOME"/stores/run.*) ;; *) exit 1 ;; esac
while [ -e "$HOME/aws.waits" ]; do sleep 0.05; done
if [ -e "$HOME/aws.fails" ]; then cat "$HOME/aws.fails" >&2; exit 254; fi
for word in "$@"; do
  case $word in
    describe-jobs) echo arn:aws:batch:eu-west-1:123456789012:job/j-1 ;;
    submit-job) echo j-1 ;;
    file://*) cp "${word#file://}" "$HOME/overrides" ;;
    tower-*.nextflow) printf '[{"name":"AA","value":"canary \\"1\\""},\n' ;;
    tower-*.nextflow.2) printf '{"name":"PIPELINE_SECRETS_SALT","value":"0"}]\n' ;;
    tower-*/*) printf '"canary \\"%s\\""\n' "${word#*/}" ;;
  esac
done
"#;

/// A config that both ways work with.
const PLAIN: &str = "process.executor = 'awsbatch'\naws.batch.executionRole = 'arn:aws:iam::1:role/e'\n";

fn plugin_config() -> String {
    "plugins {\n    id 'nf-pipeline-secrets@0.1.0'\n}\n".to_owned()
}

const TASKS_CONFIG: &str = "// secrets\nprocess.beforeScript = { task.ext.pipelineSecrets }\n";

fn answer(layout: &str) -> String {
    let (copies, config) = match layout {
        "plugin" => (format!("tower-{WORKFLOW}.nextflow tower-{WORKFLOW}.nextflow.2"), plugin_config()),
        "bundle" => (String::new(), plugin_config()),
        _ => (format!("tower-{WORKFLOW}/AA tower-{WORKFLOW}/BB"), TASKS_CONFIG.to_owned()),
    };
    format!(
        "workflowId={WORKFLOW}\nstate=running\nrunToken={RUN_TOKEN}\nlayout={layout}\nregion=eu-west-1\nstore={copies}\nnextflowConfig={}\n",
        STANDARD.encode(config)
    )
}

/// Prepares the programs and the service.
fn prepare(harness: &Harness, flat: &str) {
    harness.write_program("nextflow", NEXTFLOW);
    harness.write_program("aws", AWS);
    harness.write_private("flat", flat);
    harness.write_private("version", "25.10.2");
    harness.service.always(
        &format!("PUT /runs/{WORKFLOW}/head-job"),
        200,
        &format!("workflowId={WORKFLOW}\nstate=running\n"),
    );
}

fn install_plugin(harness: &Harness, version: &str) {
    let folder = harness.path(".nextflow/plugins").join(format!("nf-pipeline-secrets-{version}"));
    fs::create_dir_all(folder).expect("a plugin");
}

/// The next launch answers with the layout it asks for.
fn expect_launch(harness: &Harness) {
    harness.service.next("POST /launches", |request| {
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!(body["platform"], "aws-batch", "{body}");
        Answer::Whole(200, answer(body["layout"].as_str().expect("a layout")))
    });
}

fn command(harness: &Harness, options: &[&str], words: &[&str]) -> Command {
    let arguments = ["--platform", "aws-batch"].iter().chain(options).chain(&["--"]).chain(words);
    let mut command = harness.command(arguments);
    command.env("PIPELINE_SECRETS_CANARY", "canary");
    command
}

fn run(harness: &Harness, options: &[&str], words: &[&str]) -> Outcome {
    harness.finish(&mut command(harness, options, words))
}

fn read(harness: &Harness, name: &str) -> String {
    fs::read_to_string(harness.path(name)).unwrap_or_default()
}

/// A refusal before the launch: one line, no request, nothing left, no pipeline started.
fn assert_refused(harness: &Harness, outcome: &Outcome, words: &str) {
    assert_eq!(outcome.status, 64, "{outcome:?}");
    assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(harness.service.requests().is_empty() && harness.stores().is_empty(), "{outcome:?}");
    assert_eq!(read(harness, "store"), "", "{outcome:?}");
}

#[test]
fn the_head_job_gets_the_store_and_nextflow_the_config_of_the_run() {
    under_every_shell(|harness| {
        for (layout, store) in [
            ("per-name", json!({"AA": "canary \"AA\"", "BB": "canary \"BB\""})),
            ("plugin", json!({"AA": "canary \"1\""})),
        ] {
            let harness = Harness::like(harness);
            prepare(&harness, PLAIN);
            if layout == "plugin" {
                install_plugin(&harness, "0.1.0");
            }
            expect_launch(&harness);
            let words =
                ["nextflow", "-q", "run", "my main.nf", "-profile", "batch", "-c", "site config", "-resume"];
            let outcome = run(&harness, &[], &words);
            assert_eq!(outcome.status, 0, "{outcome:?}");
            let entries: Vec<Value> = serde_json::from_str(&read(&harness, "store")).expect("a store");
            let mut found: serde_json::Map<_, _> = entries
                .iter()
                .map(|entry| (entry["name"].as_str().unwrap_or_default().to_owned(), entry["value"].clone()))
                .collect();
            assert!(found.remove("PIPELINE_SECRETS_SALT").is_some(), "{found:?}");
            assert_eq!(Value::Object(found), store, "{layout}");
            let config = if layout == "plugin" { plugin_config() } else { TASKS_CONFIG.to_owned() };
            assert_eq!(read(&harness, "config"), config);
            let calls = read(&harness, "nextflow.calls");
            let last = calls.lines().last().unwrap_or_default();
            assert!(
                last.starts_with("-q|run|-c|")
                    && last.ends_with("/secrets.config|my main.nf|-profile|batch|-c|site config|-resume|"),
                "{calls}"
            );
            assert!(harness.stores().is_empty(), "nothing is left");
            assert_eq!(
                read(&harness, "leaked"),
                "PIPELINE_SECRETS_CANARY=canary\n",
                "no value is in the environment"
            );
            assert!(!read(&harness, "aws.calls").contains("canary"));
            assert_eq!(harness.service.end()["success"], true);
            assert_eq!(harness.service.count("PUT "), 0, "no head job outside AWS Batch");
        }
    });
}

#[test]
fn the_config_is_looked_up_as_the_command_would_use_it() {
    let cases: [(&[&str], &str); 8] = [
        (&["run", "main.nf"], "config|-flat|main.nf|"),
        (&["run", "main.nf", "-profile", "a,b"], "config|-flat|-profile|a,b|main.nf|"),
        (&["run", "-latest", "-r", "dev", "org/x"], "config|-flat|org/x|"),
        (&["run", "-resume", "main.nf"], "config|-flat|main.nf|"),
        (&["run", "-resume", "last", "main.nf"], "config|-flat|main.nf|"),
        (
            &["-log", "l", "-c", "a", "run", "x.nf", "-c", "b", "-stub", "--run", "run"],
            "-c|a|-c|b|config|-flat|x.nf|",
        ),
        (&["run", "-with-report", "r.html", "--c", "-1", "x.nf"], "config|-flat|x.nf|"),
        (&["run", "-process.cpus=2", "x.nf", "--profile", "no"], "config|-flat|x.nf|"),
    ];
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        for (words, expected) in cases {
            expect_launch(harness);
            let _ = fs::remove_file(harness.path("nextflow.calls"));
            let words: Vec<_> = ["nextflow"].iter().chain(words).copied().collect();
            let outcome = run(harness, &["--use", "config"], &words);
            assert_eq!(outcome.status, 0, "{outcome:?}");
            let calls = read(harness, "nextflow.calls");
            let first = calls.lines().next().unwrap_or_default();
            let (_, after) = first.split_once("/look-up.log|").unwrap_or_default();
            assert_eq!(after, expected, "{words:?}");
        }
    });
}

#[test]
fn a_pipeline_that_cannot_get_its_secrets_is_refused_before_the_launch() {
    let fusion = "fusion.enabled = true\n";
    let script = "process.beforeScript = 'module load x'\n";
    let label = "process.'withLabel:big run'.beforeScript = { \"y\" }\n";
    let composed = "process.beforeScript = { \"\"\"\n${task.ext.pipelineSecrets}\nfoo = 1\n\"\"\" }\n";
    let role = "aws.batch.executionRole = 'arn'\n";
    let cases = [
        // The config, the versions of an installed plugin and of Nextflow, --use; the layout of the
        // launch, or the refusal.
        ("", "", "", "", Ok("per-name")),
        ("", "0.1.0", "", "", Ok("per-name")),
        (role, "0.1.0", "", "", Ok("plugin")),
        (role, "0.1.0", "25.10.0", "", Ok("plugin")),
        (role, "0.1.0", "25.04.9", "", Ok("per-name")),
        (role, "0.1.0", "26.04.6", "", Ok("plugin")),
        (role, "0.1.0", "unknown", "", Ok("per-name")),
        (role, "0.1.0", "", "config", Ok("per-name")),
        (role, "0.1.0", "", "plugin", Ok("plugin")),
        (role, "", "", "plugin", Err("it is not installed in")),
        ("", "0.1.0", "", "plugin", Err("aws.batch.executionRole is not set")),
        (role, "0.1.0", "25.04.9", "plugin", Err("it needs Nextflow 25.10 or later, and this is 25.04")),
        (fusion, "", "", "", Err("with Fusion, tasks have no AWS CLI")),
        (fusion, "0.1.0", "", "config", Err("Or use the plugin")),
        ("fusion.enabled = false\n", "", "", "", Ok("per-name")),
        ("aws.batch.platformType = 'fargate'\n", "", "", "", Err("on Fargate")),
        ("aws.batch.platformType = 'ec2'\n", "", "", "", Ok("per-name")),
        ("aws.batch.cliPath = '/opt/s5cmd'\n", "", "", "", Err("s5cmd, which cannot read secrets")),
        ("aws.batch.cliPath = '/opt/aws/bin/aws'\n", "", "", "", Ok("per-name")),
        (script, "", "", "", Err("your config sets process.beforeScript")),
        (label, "", "", "", Err("your config sets process.'withLabel:big run'.beforeScript")),
        (composed, "", "", "", Ok("per-name")),
        ("params.beforeScript = 'x'\n", "", "", "", Ok("per-name")),
        ("process.afterScript = 'x'\n", "", "", "", Ok("per-name")),
    ];
    under_every_shell(|harness| {
        for (flat, installed, version, how, expected) in cases {
            let harness = Harness::like(harness);
            prepare(&harness, &format!("params.x = 1\n{flat}"));
            if !installed.is_empty() {
                install_plugin(&harness, installed);
            }
            if !version.is_empty() {
                harness.write_private("version", version);
            }
            if expected.is_ok() {
                expect_launch(&harness);
            }
            let options = if how.is_empty() { vec![] } else { vec!["--use", how] };
            let outcome = run(&harness, &options, &["nextflow", "run", "main.nf"]);
            match expected {
                Err(words) => assert_refused(&harness, &outcome, words),
                Ok(layout) => {
                    assert_eq!(outcome.status, 0, "{flat}: {outcome:?}");
                    let launch = &harness.service.requests()[0];
                    assert!(launch.body.contains(&format!("\"layout\":\"{layout}\"")), "{flat}: {launch:?}");
                }
            }
        }
    });
}

#[test]
fn the_plugins_of_the_pipeline_are_kept() {
    under_every_shell(|harness| {
        let own = "plugins = ['nf-schema@2.1.0', 'nf-pipeline-secrets@0.0.9', 'nf-amazon']\n";
        prepare(harness, &(own.to_owned() + PLAIN));
        install_plugin(harness, "0.1.0");
        expect_launch(harness);
        let outcome = run(harness, &[], &["nextflow", "run", "main.nf"]);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let kept = "plugins {\n    id 'nf-schema@2.1.0'\n    id 'nf-amazon'\n    id 'nf-pipeline-secrets@0.1.0'\n}\n";
        assert_eq!(read(harness, "config"), kept);
    });
}

#[test]
fn fusion_that_the_command_enables_is_found() {
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        for option in ["-with-fusion", "-with-fusion=true"] {
            let outcome = run(harness, &[], &["nextflow", "run", "main.nf", option]);
            assert_refused(harness, &outcome, "with Fusion, tasks have no AWS CLI");
        }
    });
}

#[test]
fn options_that_nextflow_takes_from_its_environment_count() {
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        for (options, message) in [
            ("-with-fusion", "with Fusion, tasks have no AWS CLI"),
            ("-C x.config", "NXF_CLI_OPTS contains -C"),
        ] {
            let mut command = command(harness, &[], &["nextflow", "run", "main.nf"]);
            assert_refused(harness, &harness.finish(command.env("NXF_CLI_OPTS", options)), message);
        }
        expect_launch(harness);
        let mut command = command(harness, &[], &["nextflow", "run", "main.nf"]);
        let outcome = harness.finish(command.env("NXF_CLI_OPTS", "-c site.config -dump-hashes"));
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(read(harness, "nextflow.calls").contains("|-c|site.config|config|-flat|main.nf|\n"));
    });
}

#[test]
fn the_pipelines_own_before_script_keeps_its_place_if_it_contains_the_secrets() {
    let composed = "process.beforeScript = { \"${task.ext.pipelineSecrets}\\nmodule load x\" }\n";
    let selector =
        "process.'withName:A'.beforeScript = { \"${task.ext.pipelineSecrets}\\nmodule load x\" }\n";
    under_every_shell(|harness| {
        for (flat, config) in [(composed, "// secrets\n"), (selector, TASKS_CONFIG)] {
            let harness = Harness::like(harness);
            prepare(&harness, flat);
            expect_launch(&harness);
            let outcome = run(&harness, &[], &["nextflow", "run", "main.nf"]);
            assert_eq!(outcome.status, 0, "{outcome:?}");
            assert_eq!(read(&harness, "config"), config, "{flat}");
        }
    });
}

#[test]
fn only_a_nextflow_run_gets_a_config() {
    let cases: [(&[&str], &str); 9] = [
        (&["sh", "-c", "nextflow run main.nf"], "the command must be nextflow run"),
        (&["env", "A=1", "nextflow", "run", "main.nf"], "the command must be nextflow run"),
        (&["nextflow", "pull", "x"], "not nextflow pull"),
        (&["nextflow", "-log", "run", "list"], "not nextflow list"),
        (&["nextflow"], "the command must be nextflow run"),
        (&["nextflow", "run"], "names no pipeline"),
        (&["nextflow", "-C", "my.config", "run", "main.nf"], "name your config with -c"),
        (&["nextflow", "run", "main.nf", "--text", "a\nb"], "control character"),
        (&["nextflow", "run", "main.nf", "-bg"], "-bg"),
    ];
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        for (words, message) in cases {
            assert_refused(harness, &run(harness, &[], words), message);
        }
        for options in [["--use", "cli"], ["--job-queue", "q"], ["--job-name", "n"]] {
            assert_refused(harness, &run(harness, &options, &["nextflow", "run", "main.nf"]), options[0]);
        }
        for options in
            [["--use", "plugin"], ["--compute-env", "e"], ["--job-queue", "q"], ["--job-definition", "d"]]
        {
            let slurm = ["--platform", "slurm", options[0], options[1], "--", "nextflow", "run", "main.nf"];
            assert_refused(harness, &harness.finish(&mut harness.command(slurm)), "are for AWS Batch");
        }
    });
}

#[test]
fn a_launch_names_the_compute_environment_and_jobs_are_in_its_region() {
    const ENVIRONMENT: &str = "0123456789ABCDEFGHabcd";
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        expect_launch(harness);
        let words = ["nextflow", "run", "main.nf"];
        let options = ["--workspace", "42", "--compute-env", ENVIRONMENT];
        let outcome = run(harness, &options, &words);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let requests = harness.service.requests();
        let launch = requests.iter().find(|it| it.line.starts_with("POST /launches")).expect("a launch");
        let body: Value = serde_json::from_str(&launch.body).expect("JSON");
        assert_eq!((&body["computeEnvId"], &body["platform"]), (&json!(ENVIRONMENT), &json!("aws-batch")));
        let calls = read(harness, "aws.calls");
        assert!(
            !calls.is_empty() && calls.lines().all(|call| call.starts_with("--region|eu-west-1|")),
            "{calls}"
        );
    });
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        let words = ["nextflow", "run", "main.nf"];
        let file = harness.path("launch").display().to_string();
        for (options, message) in [
            (vec!["--workspace", "none", "--compute-env", ENVIRONMENT], "add --workspace"),
            (vec!["--workspace", "42", "--compute-env", "lab-eu"], "22 letters and digits"),
            (vec!["--workspace", "42", "--compute-env", "0123456789ABCDEFGHabc-"], "22 letters and digits"),
            (
                vec!["--workspace", "42", "--compute-env", ENVIRONMENT, "--launch-file", &file],
                "launched elsewhere",
            ),
        ] {
            assert_refused(harness, &run(harness, &options, &words), message);
        }
    });
}

#[test]
fn a_run_without_secrets_has_an_empty_store_and_no_config() {
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        let empty = format!(
            "workflowId={WORKFLOW}\nstate=running\nrunToken={RUN_TOKEN}\nlayout=per-name\nregion=eu-west-1\nstore=\nnextflowConfig=\n"
        );
        harness.service.always("POST /launches", 200, &empty);
        let outcome = run(harness, &[], &["nextflow", "run", "main.nf"]);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(read(harness, "store"), "[]");
        assert!(read(harness, "nextflow.calls").ends_with("\nrun|main.nf|\n"), "{outcome:?}");
    });
}

#[test]
fn a_config_that_cannot_be_looked_up_is_reported_and_does_not_stop_the_run() {
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        fs::remove_file(harness.path("flat")).expect("a file");
        expect_launch(harness);
        let outcome = run(harness, &[], &["nextflow", "run", "org/pipeline"]);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(outcome.stderr.contains("the config of the pipeline cannot be checked: "), "{outcome:?}");
    });
}

#[test]
fn a_run_whose_copies_or_config_cannot_be_used_fails_and_leaves_nothing() {
    under_every_shell(|harness| {
        let denied = Harness::like(harness);
        prepare(&denied, PLAIN);
        denied.write_private("aws.fails", "\nAn error occurred (AccessDeniedException)\u{1b}[1m\nmore\n");
        expect_launch(&denied);
        let outcome = run(&denied, &[], &["nextflow", "run", "main.nf"]);
        assert_eq!(outcome.status, 75, "{outcome:?}");
        assert!(
            outcome
                .stderr
                .contains("/AA cannot be read: An error occurred (AccessDeniedException)[1m. The role"),
            "{outcome:?}"
        );

        let other_plugin = Harness::like(harness);
        prepare(&other_plugin, PLAIN);
        install_plugin(&other_plugin, "0.9.0");
        expect_launch(&other_plugin);
        let outcome = run(&other_plugin, &[], &["nextflow", "run", "main.nf"]);
        assert_eq!(outcome.status, 75, "{outcome:?}");
        assert!(outcome.stderr.contains("needs nf-pipeline-secrets 0.1.0, and "), "{outcome:?}");

        for harness in [&denied, &other_plugin] {
            assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 75}));
            assert!(harness.stores().is_empty() && read(harness, "store").is_empty());
        }
    });
}

/// Submits a head job and returns its command and environment.
fn submit(harness: &Harness, options: &[&str]) -> (Vec<String>, Vec<(String, String)>) {
    let options: Vec<_> = ["--submit", "--job-queue", "heads", "--job-definition", "nextflow:3"]
        .iter()
        .chain(options)
        .copied()
        .collect();
    expect_launch(harness);
    let outcome = run(harness, &options, &["nextflow", "run", "main.nf", "--text", r#"a "b\c" d"#]);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "j-1\n"), "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("submitted job j-1 for run {WORKFLOW}")), "{outcome:?}");
    assert!(harness.stores().is_empty() && harness.service.count("POST /runs") == 0);
    assert_eq!(harness.service.count("PUT "), 1, "a job that cannot start is recorded as well");
    let overrides: Value = serde_json::from_str(&read(harness, "overrides")).expect("JSON");
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let command = overrides["command"].as_array().into_iter().flatten().map(words).collect();
    let environment = overrides["environment"].as_array().into_iter().flatten();
    (command, environment.map(|entry| (words(&entry["name"]), words(&entry["value"]))).collect())
}

#[test]
fn a_submitted_head_job_gets_the_run_and_no_user_token() {
    under_every_shell(|harness| {
        for (options, layout) in [(&[][..], "per-name"), (&["--use", "plugin", "--report"][..], "plugin")] {
            let harness = Harness::like(harness);
            prepare(&harness, PLAIN);
            install_plugin(&harness, "0.1.0");
            let (words, environment) = submit(&harness, options);
            let expected: &[&str] = match layout {
                "plugin" => &["nextflow-with-secrets", "--platform", "aws-batch", "--report", "--"],
                _ => &["nextflow-with-secrets", "--platform", "aws-batch", "--"],
            };
            assert_eq!(words[..expected.len()], *expected);
            assert_eq!(words[expected.len()..], ["nextflow", "run", "main.nf", "--text", r#"a "b\c" d"#]);
            let names: Vec<_> = environment.iter().map(|(name, _)| name.as_str()).collect();
            let all = ["ENDPOINT", "WORKFLOW_ID", "RUN_TOKEN", "LAUNCH", "WORKSPACE"];
            assert_eq!(names, all.map(|name| format!("PIPELINE_SECRETS_{name}")));
            assert!(!read(&harness, "overrides").contains(USER_TOKEN));
            assert!(!read(&harness, "aws.calls").contains(RUN_TOKEN), "no token in arguments");
            assert!(read(&harness, "nextflow.calls").is_empty(), "the pipeline is not here");

            // The job, and its second attempt. Neither the token nor the variable reaches Nextflow.
            let canary = if layout == "plugin" { "PIPELINE_SECRETS_LAUNCH" } else { RUN_TOKEN };
            for (status, ends) in [("3", 0), ("0", 1)] {
                harness.write_private("status", status);
                let mut job = harness.command(&words[1..]);
                job.env_remove("PIPELINE_SECRETS_TOKEN_FILE").env("PIPELINE_SECRETS_CANARY", canary);
                job.envs(environment.iter().cloned())
                    .env("AWS_BATCH_JOB_ID", "j-1")
                    .env("AWS_BATCH_JQ_NAME", "heads");
                let outcome = harness.finish(&mut job);
                assert_eq!(outcome.status.to_string(), status, "{outcome:?}");
                assert!(read(&harness, "store").contains("canary"), "{outcome:?}");
                let recorded: Vec<_> = harness
                    .service
                    .requests()
                    .into_iter()
                    .filter(|request| request.line.starts_with("PUT "))
                    .collect();
                let body: Value = serde_json::from_str(&recorded[0].body).expect("JSON");
                assert_eq!(body, json!({"jobId": "j-1", "jobQueue": "heads", "region": "eu-west-1"}));
                assert_eq!(harness.service.count(&format!("POST /runs/{WORKFLOW}/end")), ends, "{outcome:?}");
                assert_eq!(read(&harness, "leaked"), format!("PIPELINE_SECRETS_CANARY={canary}\n"));
            }
            assert!(!read(&harness, "aws.calls").contains("tag-resource"), "its environment proves the run");
        }
    });
}

#[test]
fn a_head_job_that_cannot_be_recorded_reports_its_end_itself() {
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        let (words, environment) = submit(harness, &[]);
        let line = format!("PUT /runs/{WORKFLOW}/head-job");
        harness.service.always(&line, 422, r#"{"message":"The job does not belong to the run."}"#);
        harness.write_private("status", "3");
        let mut job = harness.command(&words[1..]);
        job.envs(environment).env("AWS_BATCH_JOB_ID", "j-1").env("AWS_BATCH_JQ_NAME", "heads");
        let outcome = harness.finish(&mut job);
        assert_eq!(outcome.status, 3, "{outcome:?}");
        assert!(
            outcome.stderr.contains("could not be recorded (422): The job does not belong to the run."),
            "{outcome:?}"
        );
        assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 3}));
    });
}

#[test]
fn a_submission_that_fails_ends_the_run() {
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        harness.write_private("aws.fails", "An error occurred (ClientException): no such queue\n");
        expect_launch(harness);
        let options = ["--submit", "--job-queue", "q", "--job-definition", "d"];
        let outcome = run(harness, &options, &["nextflow", "run", "main.nf"]);
        assert_eq!(outcome.status, 77, "{outcome:?}");
        assert!(outcome.stderr.contains("(ClientException): no such queue"), "{outcome:?}");
        assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 77}));
        assert!(harness.stores().is_empty());

        let harness = Harness::like(harness);
        prepare(&harness, PLAIN);
        expect_launch(&harness);
        let long = "x".repeat(30_000);
        let outcome = run(&harness, &options, &["nextflow", "run", "main.nf", "--x", &long]);
        assert_eq!(outcome.status, 64, "{outcome:?}");
        assert!(outcome.stderr.contains("too large for AWS Batch (30 KiB)"), "{outcome:?}");
        assert_eq!(harness.service.end()["success"], false);
    });
}

#[test]
fn a_signal_does_not_hide_a_job_that_was_submitted() {
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        harness.write_private("aws.waits", "");
        expect_launch(harness);
        let options = ["--submit", "--job-queue", "q", "--job-definition", "d"];
        let run = Run::start(&mut command(harness, &options, &["nextflow", "run", "main.nf"]));
        wait_until("AWS Batch is called", || read(harness, "aws.calls").contains("submit-job"));
        run.signal("TERM");
        fs::remove_file(harness.path("aws.waits")).expect("a file");
        let outcome = run.finish();
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "j-1\n"), "{outcome:?}");
        assert_eq!(harness.service.count(&format!("POST /runs/{WORKFLOW}/end")), 0, "{outcome:?}");
        assert!(harness.stores().is_empty());
    });
}

#[test]
fn a_wrong_submission_is_refused_before_the_launch() {
    under_every_shell(|harness| {
        prepare(harness, PLAIN);
        for (options, message) in [
            (&["--submit"][..], "--job-queue and --job-definition"),
            (&["--submit", "--job-queue", "q"], "--job-queue and --job-definition"),
            (&["--submit", "--job-queue", "q", "--job-definition", "d", "--job-name", "a b"], "--job-name"),
            (&["--submit", "--job-queue", "q", "--job-definition", "d", "--job-name", "-a"], "--job-name"),
            (&["--submit", "--job-queue", "file:///etc/passwd", "--job-definition", "d"], "names or ARNs"),
            (&["--submit", "--job-queue", "q", "--job-definition", "https://example.org"], "names or ARNs"),
            (&["--submit", "--job-queue", "q", "--job-definition", "-d"], "names or ARNs"),
            (&["--submit", "--job-queue", "q q", "--job-definition", "d"], "names or ARNs"),
        ] {
            assert_refused(harness, &run(harness, options, &["nextflow", "run", "main.nf"]), message);
        }
        let all = ["--submit", "--job-queue", "q", "--job-definition", "d"];
        let mut command = command(harness, &all, &["nextflow", "run", "main.nf"]);
        let outcome = harness.finish(command.env("PIPELINE_SECRETS_WORKFLOW_ID", WORKFLOW));
        assert_refused(harness, &outcome, "submit launches a run");
    });
}

#[test]
fn a_job_that_launches_its_run_proves_it_with_a_tag() {
    under_every_shell(|harness| {
        for tagged in [true, false] {
            let harness = Harness::like(harness);
            prepare(&harness, PLAIN);
            if !tagged {
                let fails =
                    AWS.replace("describe-jobs) echo", "describe-jobs) echo denied >&2; exit 254; echo");
                harness.write_program("aws", &fails);
            }
            expect_launch(&harness);
            harness.write_private("status", "3");
            let mut command = harness.command(["--", "nextflow", "run", "main.nf"]);
            command.env("AWS_BATCH_JOB_ID", "j-1:0").env("AWS_BATCH_JQ_NAME", "heads");
            let outcome = harness.finish(&mut command);
            assert_eq!(outcome.status, 3, "{outcome:?}");
            let calls = read(&harness, "aws.calls");
            assert_eq!(calls.contains(&format!("|pipeline-secrets:run={WORKFLOW}|")), tagged, "{calls}");
            assert_eq!(harness.service.count("PUT "), usize::from(tagged));
            assert_eq!(outcome.stderr.contains("could not be tagged: denied"), !tagged, "{outcome:?}");
            assert_eq!(harness.service.end()["exitStatus"], 3, "a second attempt launches another run");
        }
        let harness = Harness::like(harness);
        prepare(&harness, PLAIN);
        expect_launch(&harness);
        let mut command = harness.command(["--", "nextflow", "run", "main.nf"]);
        let outcome =
            harness.finish(command.env("AWS_BATCH_JOB_ID", "j-1").env("AWS_BATCH_JQ_NAME", "a\",\"b"));
        assert_eq!((outcome.status, harness.service.count("PUT ")), (0, 0), "{outcome:?}");
        assert!(outcome.stderr.contains("AWS_BATCH_JQ_NAME is not the name of a queue"), "{outcome:?}");
    });
}

#[test]
fn a_launch_made_elsewhere_must_fit() {
    under_every_shell(|harness| {
        for (layout, options, message) in [
            ("per-name", &[][..], ""),
            ("per-name", &["--use", "config"], ""),
            ("plugin", &[], ""),
            ("plugin", &["--use", "plugin"], ""),
            ("per-name", &["--use", "plugin"], "--use plugin does not fit"),
            ("plugin", &["--use", "config"], "--use config does not fit"),
            ("bundle", &[], "layout bundle"),
            ("other", &[], "is for another platform"),
        ] {
            let harness = Harness::like(harness);
            prepare(&harness, PLAIN);
            install_plugin(&harness, "0.1.0");
            let file = harness.write_private("launch", &answer(layout));
            let options: Vec<_> =
                ["--launch-file", file.to_str().expect("a path")].iter().chain(options).copied().collect();
            let outcome = run(&harness, &options, &["nextflow", "run", "main.nf"]);
            match message {
                "" => {
                    assert_eq!(outcome.status, 0, "{outcome:?}");
                    assert_eq!(harness.service.count("POST /launches"), 0);
                    assert_eq!(harness.service.end()["success"], true);
                }
                message => assert_refused(&harness, &outcome, message),
            }
        }
        prepare(harness, PLAIN);
        for (name, value) in [("RUN_TOKEN", "x"), ("LAUNCH", "bm90IGd6aXA="), ("LAUNCH", "%")] {
            let mut command = command(harness, &[], &["nextflow", "run", "main.nf"]);
            command
                .env("PIPELINE_SECRETS_WORKFLOW_ID", WORKFLOW)
                .env("PIPELINE_SECRETS_RUN_TOKEN", RUN_TOKEN);
            let outcome = harness.finish(command.env(format!("PIPELINE_SECRETS_{name}"), value));
            assert_refused(harness, &outcome, "PIPELINE_SECRETS_LAUNCH");
        }
    });
}
