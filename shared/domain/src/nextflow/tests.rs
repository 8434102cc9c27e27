use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::ids::{RunId, UserId};
use crate::platform::Platform;
use crate::testing::values;

fn home() -> CopyLocation {
    CopyLocation::of_arn("arn:aws:dynamodb:eu-west-1:123456789012:table/t").unwrap()
}

fn run(names: &[&str]) -> Run {
    let secrets: Vec<_> =
        names.iter().map(|name| json!({"name": name, "owner": "WS#42", "id": 7, "version": 1})).collect();
    let lifecycle = json!({
        "revision": 1,
        "state": "pending",
        "leaseUntil": "2026-01-01T00:00:00Z",
        "secrets": secrets,
        "runToken": "hash",
    });
    Run {
        id: RunId::new("ab12ABCDEFGHIJ").unwrap(),
        workspace: "42".parse().ok(),
        user: UserId::new(5).unwrap(),
        launched_with: None,
        platform: Platform::AwsBatch,
        layout: Layout::PerName,
        created: Timestamp::UNIX_EPOCH,
        not_after: Timestamp::UNIX_EPOCH,
        target: crate::environment::Target::Home,
        lifecycle: serde_json::from_value(lifecycle).unwrap(),
    }
}

/// Whether a text still contains a placeholder such as `@RUN@`.
fn placeholder_in(text: &str) -> bool {
    let placeholder = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_uppercase());
    text.split('@').skip(1).any(placeholder)
}

#[test]
fn values_that_a_shell_would_read_are_not_carried() {
    for value in ["a\nb", "a\"b", "a\\b", "a`b", "a$b", "\";touch x;\""] {
        assert!(!nextflow_store_preserves(value), "{value:?}");
    }
    for value in ["a b", " x ", "\t\r", "'!#=*?~{}[]();&|<>%^:,", "é€😀", "QUJD="] {
        assert!(nextflow_store_preserves(value), "{value:?}");
    }
}

#[test]
fn a_value_that_looks_like_another_secrets_entry_is_found() {
    for (first, second, found) in [
        ("x BB=1", "v", Some("AA BB")),
        ("BB=1", "v", Some("AA BB")),
        ("x-BB=1", "v", Some("AA BB")),
        ("=BB=", "v", Some("AA BB")),
        ("éBB=1", "v", Some("AA BB")),
        ("BB and BB=1", "v", Some("AA BB")),
        ("xBB=1 BB=1", "v", Some("AA BB")),
        ("v", "AA=1", Some("BB AA")),
        ("BB=1", "AA=1", Some("AA BB")),
        ("xBB=1", "v", None),
        ("9BB=1", "v", None),
        ("_BB=1", "v", None),
        ("BB =1", "v", None),
        ("BB", "v", None),
        ("BBB=1", "v", None),
        ("bb=1", "v", None),
        ("CC=1", "v", None),
        ("AA=1", "BB=1", None),
        ("v", "v", None),
    ] {
        let values = values(&[("AA", first), ("BB", second)]);
        let collision = store_collision(&values).map(|(holder, name)| format!("{holder} {name}"));
        assert_eq!(collision.as_deref(), found, "AA is {first:?}, BB is {second:?}");
    }
}

#[test]
fn the_config_for_tasks_reads_this_runs_copies_in_its_region() {
    let config = tasks_config(&run(&["AA"]), &home());
    assert!(config.contains(r#"--region eu-west-1 --secret-id \"tower-ab12ABCDEFGHIJ/\$1\""#), "{config}");
    assert!(!placeholder_in(&config), "{config}");
}

#[test]
fn the_config_for_the_plugin_lists_the_references_of_the_run() {
    for (references, list) in [
        (&[][..], "valueFrom = [:]"),
        (&["arn:1:AA::"], "valueFrom = [\n    AA: 'arn:1:AA::'\n]"),
        (&["arn:1:AA::", "arn:2:BB::"], "valueFrom = [\n    AA: 'arn:1:AA::',\n    BB: 'arn:2:BB::'\n]"),
    ] {
        let config = plugin_config(&run(&["AA"]), ["AA", "BB"].into_iter().zip(references.iter().copied()));
        assert!(config.contains(list), "{config}");
        assert!(config.contains("workflowId = 'ab12ABCDEFGHIJ'"), "{config}");
        let version = env!("CARGO_PKG_VERSION");
        assert!(config.contains(&format!("id 'nf-pipeline-secrets@{version}'")), "{config}");
        assert!(!placeholder_in(&config), "{config}");
    }
}

/// A run with this layout and its planned copies.
fn planned(layout: Layout, names: &[&str]) -> Run {
    let mut run = Run { layout, ..run(names) };
    let sizes: Vec<_> = names.iter().map(|name| (SecretName::parse(name).unwrap(), 60_000)).collect();
    run.lifecycle.copies = copies::plan(&run.id, layout, &sizes);
    run
}

#[test]
fn the_prelude_reads_the_copies_of_its_layout_only() {
    for (layout, fragments, names) in [
        (Layout::Bundle, "", ""),
        (Layout::PerName, "", "AA BB"),
        (Layout::Plugin, "tower-ab12ABCDEFGHIJ.nextflow tower-ab12ABCDEFGHIJ.nextflow.2", ""),
    ] {
        let prelude = head_job_prelude(&planned(layout, &["AA", "BB"]), &home(), "https://secrets.example");
        for part in [format!("for copy in {fragments}; do"), format!("for name in {names}; do")] {
            assert!(prelude.contains(&part), "{layout}: {part}");
        }
        assert!(!placeholder_in(&prelude), "{layout}: {prelude}");
    }
}

/// Sources the prelude with a stand-in for the AWS CLI, and prints the store.
fn store_of_prelude(layout: Layout, names: &[&str], aws: &str) -> (bool, String) {
    let prelude = head_job_prelude(&planned(layout, names), &home(), "https://secrets.example");
    let script = format!("set -euo pipefail\n{aws}\n{prelude}\ncat \"$NXF_SECRETS_FILE\"");
    let mut bash = std::process::Command::new("bash");
    let output = bash.arg("-c").arg(script).env_remove("AWS_BATCH_JOB_ID").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn the_store_that_the_prelude_writes_is_json_with_a_random_entry() {
    let aws = r#"aws() {
        [ "$1 $2 $4 $8" = 'secretsmanager get-secret-value eu-west-1 SecretString' ] || return 1
        echo "$6 ${10}" >>"$calls" # --secret-id and --output
        case $6 in
            tower-ab12ABCDEFGHIJ.nextflow) printf '%s\n' '[{"name":"AA","value":"a\\n%s"},' ;;
            tower-ab12ABCDEFGHIJ.nextflow.2) printf '%s\n' '{"name":"PIPELINE_SECRETS_SALT","value":"1"}]' ;;
            *) printf '%s\n' '"a\\n%s"' ;;
        esac
    }"#;
    for (layout, names, calls, expected) in [
        (Layout::Bundle, &["AA", "BB"][..], &[][..], json!([])),
        (Layout::PerName, &[], &[], json!([])),
        (Layout::Plugin, &[], &[], json!([])),
        (
            Layout::PerName,
            &["AA"],
            &["tower-ab12ABCDEFGHIJ/AA json"],
            json!([{ "name": "AA", "value": "a\\n%s" }]),
        ),
        (
            Layout::Plugin,
            &["AA", "BB"],
            &["tower-ab12ABCDEFGHIJ.nextflow text", "tower-ab12ABCDEFGHIJ.nextflow.2 text"],
            json!([{ "name": "AA", "value": "a\\n%s" }]),
        ),
    ] {
        let case = format!("{layout}, {names:?}");
        let file = std::env::temp_dir().join(format!("pipeline-secrets-{}-{case}", std::process::id()));
        let (ran, text) = store_of_prelude(layout, names, &format!("calls='{}'\n{aws}", file.display()));
        assert!(ran, "{case}: {text}");
        let called = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(&file);
        assert_eq!(called.lines().collect::<Vec<_>>(), calls, "{case}: one call for each copy");
        let mut store: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let salt = store.pop();
        assert_eq!(salt.is_some_and(|entry| entry["name"] == SALT), !calls.is_empty(), "{case}");
        assert_eq!(serde_json::Value::from(store), expected, "{case}");
    }
}

#[test]
fn a_copy_that_the_prelude_cannot_read_stops_the_head_job_with_the_name_of_the_copy() {
    for (layout, named) in [
        (Layout::PerName, "could not read the secret AA:"),
        (Layout::Plugin, "could not read the secrets store (tower-ab12ABCDEFGHIJ.nextflow):"),
    ] {
        let (ran, text) = store_of_prelude(layout, &["AA"], "aws() { return 255; }");
        assert!(!ran && text.starts_with(&format!("pipeline-secrets: {named}")), "{layout}: {text}");
        assert_eq!(text.lines().count(), 1, "{layout}: {text}");
    }
}

#[test]
fn the_prelude_of_the_head_job_records_the_run_and_reads_the_copy_of_each_name() {
    for (names, list) in [(&[][..], ""), (&["AA"], "AA"), (&["AA", "BB_2"], "AA BB_2")] {
        let prelude = head_job_prelude(&run(names), &home(), "https://secrets.example");
        for part in [
            "'https://secrets.example/runs/ab12ABCDEFGHIJ/head-job'",
            r#"\"region\":\"eu-west-1\""#,
            "--region eu-west-1",
            r#"pipeline_secrets_read "tower-ab12ABCDEFGHIJ/$name" json"#,
            &format!("for name in {list}; do"),
        ] {
            assert!(prelude.contains(part), "{names:?}: {part}");
        }
        assert!(!placeholder_in(&prelude), "{names:?}: {prelude}");
    }
}

#[test]
fn a_placeholder_is_recognized() {
    for (text, left) in [("a @RUN@ b", true), ("a@b", false), ("@@", false)] {
        assert_eq!(placeholder_in(text), left, "{text}");
    }
}
