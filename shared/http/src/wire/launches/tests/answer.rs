use super::super::*;
use crate::testing::sample::{ARN, RUN, at, copy, name, pin, run, secret, secret_id, user_id};
use domain::environment::Target;
use domain::iam::CopyLocation;
use domain::owner::SecretOwner;
use domain::platform::Platform;
use domain::resolve::{Resolved, ResolvedSecret};
use domain::run::Lifecycle;
use domain::secret::Secret;
use domain::use_cases::launch::RunTokens;
use serde_json::json;
use zeroize::Zeroizing;

const OTHER_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-0a1bABCDEFGHIJ.2-GhIjKl";

/// Returns the JSON body of an answer.
fn shown(answer: Answer) -> Value {
    assert_eq!(answer.status(), 200);
    let event: Value = serde_json::from_str(answer.into_event().get()).unwrap();
    assert_eq!(event["headers"]["content-type"], "application/json");
    serde_json::from_str(event["body"].as_str().unwrap()).unwrap()
}

const JSON: Format = Format::Json { report: false };

fn with_deployment<T>(copy_key: Option<&str>, then: impl FnOnce(&Deployment<'_>) -> T) -> T {
    let settings = Settings::new("test");
    let prefix = RunPrefix::new("0a1b").unwrap();
    then(&Deployment {
        endpoint: "https://api.example.org",
        prefix: &prefix,
        copy_key,
        home: &home(),
        settings: &settings,
    })
}

fn launched_as(run: Run, tokens: Option<RunTokens>, copy_key: Option<&str>, format: Format) -> Answer {
    with_deployment(copy_key, |deployment| launched(&Launched { run, tokens }, deployment, format))
}

fn tokens(claim: Option<&str>) -> RunTokens {
    let text = |text: &str| Zeroizing::new(text.to_owned());
    RunTokens { run: text("run-token"), claim: claim.map(text) }
}

fn statements(scope: &str) -> Value {
    json!([{
        "Sid": "ReadPipelineSecrets",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-0a1b*",
        "Condition": { "StringEquals": {
            "secretsmanager:ResourceTag/pipeline-secrets:deployment": "test",
            "secretsmanager:ResourceTag/pipeline-secrets:scope": scope,
        }},
    }])
}

/// The statements that allow reading only the copies of this run.
fn run_statements(scope: &str) -> Value {
    let mut statements = statements(scope);
    statements[0]["Resource"] =
        format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-{RUN}*").into();
    statements[0]["Condition"]["StringEquals"]["secretsmanager:ResourceTag/pipeline-secrets:run"] =
        RUN.into();
    statements
}

/// The files for Nextflow of a run with a bundle.
fn for_plugin() -> Value {
    let run = run(Platform::AwsBatch, Layout::Bundle);
    let from = format!("{ARN}:NCBI_API_KEY::");
    json!({
        "config": nextflow::plugin_config(&run, [("NCBI_API_KEY", from.as_str())].into_iter()),
        "prelude": nextflow::head_job_prelude(&run, &home(), "https://api.example.org"),
    })
}

fn home() -> CopyLocation {
    CopyLocation {
        partition: "aws".to_owned(),
        region: "us-east-1".to_owned(),
        account: "123456789012".to_owned(),
    }
}

#[test]
fn a_bundle_launch_returns_job_definition_secrets() {
    let from = format!("{ARN}:NCBI_API_KEY::");
    let secrets = json!([{
        "name": "NCBI_API_KEY", "owner": "workspace", "secretId": 501, "version": 3, "overrides": false,
        "arn": ARN, "valueFrom": from,
    }]);
    let expected = json!({
        "workflowId": RUN,
        "state": "pending",
        "platform": "aws-batch",
        "layout": "bundle",
        "expires": "2026-10-26T12:42:21Z",
        "secrets": secrets,
        "runToken": "run-token",
        "environment": {
            "PIPELINE_SECRETS_ENDPOINT": "https://api.example.org",
            "PIPELINE_SECRETS_WORKFLOW_ID": RUN,
            "PIPELINE_SECRETS_RUN_TOKEN": "run-token",
        },
        "batch": { "secrets": [{ "name": "NCBI_API_KEY", "valueFrom": from }] },
        "nextflow": for_plugin(),
        "iam": { "statements": statements("workspace/42"), "runStatements": run_statements("workspace/42") },
    });
    let bundle = || run(Platform::AwsBatch, Layout::Bundle);
    assert_eq!(shown(launched_as(bundle(), Some(tokens(None)), None, JSON)), expected);

    let mut replayed = expected.clone();
    replayed.as_object_mut().unwrap().retain(|name, _| name != "runToken" && name != "environment");
    assert_eq!(shown(launched_as(bundle(), None, None, JSON)), replayed, "a repeated launch shows no token");

    let mut own = expected.clone();
    own["iam"] = json!({ "statements": statements("user/17"), "runStatements": run_statements("user/17") });
    let run = Run { workspace: None, ..bundle() };
    assert_eq!(shown(launched_as(run, Some(tokens(None)), None, JSON)), own, "a launch without a workspace");

    let key = "arn:aws:kms:us-east-1:123456789012:key/copies";
    let answer = shown(launched_as(bundle(), Some(tokens(None)), Some(key), JSON));
    assert_eq!(answer["iam"]["statements"][1]["Resource"], key, "the KMS key of the copies is allowed too");
}

#[test]
fn variables_with_which_nextflow_reports_are_returned_only_if_the_launch_asks_for_reports() {
    for (platform, workspace, report) in [
        (Platform::AwsBatch, Some("42"), false),
        (Platform::AwsBatch, Some("42"), true),
        (Platform::AwsBatch, None, true),
        (Platform::Slurm, Some("42"), false),
        (Platform::Slurm, Some("42"), true),
    ] {
        let workspace_id = workspace.and_then(|id| id.parse().ok());
        let run = Run { workspace: workspace_id, ..run(platform, Layout::PerName) };
        let answer = shown(launched_as(run, Some(tokens(None)), None, Format::Json { report }));
        let mut variables = answer["environment"].as_object().unwrap().clone();
        variables.retain(|name, _| name.starts_with("TOWER_"));
        let expected = match (report, workspace) {
            (false, _) => json!({}),
            (true, None) => json!({
                "TOWER_API_ENDPOINT": "https://api.example.org",
                "TOWER_ACCESS_TOKEN": "run-token",
                "TOWER_WORKFLOW_ID": RUN,
            }),
            (true, Some(id)) => json!({
                "TOWER_API_ENDPOINT": "https://api.example.org",
                "TOWER_ACCESS_TOKEN": "run-token",
                "TOWER_WORKFLOW_ID": RUN,
                "TOWER_WORKSPACE_ID": id,
            }),
        };
        assert_eq!(Value::from(variables), expected, "{platform}, {workspace:?}, {report}");
        // A file that mentions the variables would let Nextflow report as well.
        assert_eq!(answer["nextflow"].to_string().matches("TOWER_").count(), 0, "{platform}, {report}");
    }
}

#[test]
fn each_secret_refers_to_the_copy_that_holds_it() {
    let mut run = run(Platform::AwsBatch, Layout::Bundle);
    let mut own = pin("AA", 502, SecretOwner::User(user_id(17)));
    own.overrides = Some(secret_id(503));
    run.lifecycle.secrets.extend([own, pin("BB", 504, SecretOwner::User(user_id(17)))]);
    run.lifecycle.copies.extend([
        copy("tower-0a1bABCDEFGHIJ.2", Some(OTHER_ARN), &["AA"]),
        copy("tower-0a1bABCDEFGHIJ.3", None, &["BB"]),
    ]);
    let answer = shown(launched_as(run, Some(tokens(None)), None, JSON));
    let from = |arn: &str, name: &str| format!("{arn}:{name}::");
    let expected = json!([
        {
            "name": "NCBI_API_KEY", "owner": "workspace", "secretId": 501, "version": 3, "overrides": false,
            "arn": ARN, "valueFrom": from(ARN, "NCBI_API_KEY"),
        },
        {
            "name": "AA", "owner": "user", "secretId": 502, "version": 3, "overrides": true,
            "arn": OTHER_ARN, "valueFrom": from(OTHER_ARN, "AA"),
        },
        { "name": "BB", "owner": "user", "secretId": 504, "version": 3, "overrides": false },
    ]);
    assert_eq!(answer["secrets"], expected);
    let batch = json!({ "secrets": [
        { "name": "NCBI_API_KEY", "valueFrom": from(ARN, "NCBI_API_KEY") },
        { "name": "AA", "valueFrom": from(OTHER_ARN, "AA") },
    ]});
    assert_eq!(answer["batch"], batch, "a copy that does not exist yet is omitted");
}

#[test]
fn a_per_name_launch_returns_nextflow_config_and_prelude() {
    let run = run(Platform::AwsBatch, Layout::PerName);
    let nextflow = json!({
        "config": nextflow::tasks_config(&run, &home()),
        "prelude": nextflow::head_job_prelude(&run, &home(), "https://api.example.org"),
    });
    let answer = shown(launched_as(run, Some(tokens(None)), None, JSON));
    assert_eq!(answer["layout"], "per-name");
    assert_eq!(answer["secrets"][0]["valueFrom"], ARN, "the copy is the value itself");
    assert_eq!(answer["nextflow"], nextflow);
    assert_eq!(answer["iam"]["statements"], statements("workspace/42"));
}

#[test]
fn a_run_without_secrets_needs_no_iam_statement() {
    for layout in Layout::ALL {
        let mut run = run(Platform::AwsBatch, layout);
        run.lifecycle.secrets.clear();
        run.lifecycle.copies.clear();
        let answer = shown(launched_as(run, Some(tokens(None)), None, JSON));
        assert_eq!(answer["secrets"], json!([]), "{layout:?}");
        assert_eq!(answer["batch"], json!({ "secrets": [] }), "{layout:?}");
        assert_eq!((&answer["nextflow"], &answer["iam"]), (&Value::Null, &Value::Null), "{layout:?}");
    }
}

#[test]
fn an_hpc_launch_returns_a_claim_token_and_nothing_for_aws() {
    let expected = json!({
        "workflowId": RUN,
        "state": "pending",
        "platform": "slurm",
        "layout": null,
        "expires": "2026-10-26T12:42:21Z",
        "secrets": [{
            "name": "NCBI_API_KEY", "owner": "workspace", "secretId": 501, "version": 3, "overrides": false,
        }],
        "runToken": "run-token",
        "claimToken": "claim-token",
        "environment": {
            "PIPELINE_SECRETS_ENDPOINT": "https://api.example.org",
            "PIPELINE_SECRETS_WORKFLOW_ID": RUN,
            "PIPELINE_SECRETS_RUN_TOKEN": "run-token",
            "PIPELINE_SECRETS_CLAIM_TOKEN": "claim-token",
        },
    });
    let run = run(Platform::Slurm, Layout::Bundle);
    assert_eq!(shown(launched_as(run, Some(tokens(Some("claim-token"))), None, JSON)), expected);
}

/// A run with two secrets, and with the copies that the layout plans for them.
fn planned(layout: Layout) -> Run {
    let mut run = run(Platform::AwsBatch, layout);
    run.lifecycle.secrets = ["AA", "BB"].map(|name| pin(name, 501, SecretOwner::User(user_id(17)))).into();
    let sizes = ["AA", "BB"].map(|text| (name(text), 60_000));
    run.lifecycle.copies = copies::plan(&run.id, layout, &sizes);
    for copy in &mut run.lifecycle.copies {
        copy.arn = Some(format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{}-AbCdEf", copy.name));
    }
    run
}

#[test]
fn references_of_job_definitions_never_name_the_store() {
    let arn =
        |copy: &str| format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-{RUN}{copy}-AbCdEf");
    let (one, two) = (arn(""), arn(".2"));
    // Whatever the order of the copies.
    for reversed in [false, true] {
        let mut run = planned(Layout::Plugin);
        if reversed {
            run.lifecycle.copies.reverse();
        }
        let answer = shown(launched_as(run, Some(tokens(None)), None, JSON));
        let batch = json!({ "secrets": [
            { "name": "AA", "valueFrom": format!("{one}:AA::") },
            { "name": "BB", "valueFrom": format!("{two}:BB::") },
        ]});
        assert_eq!(answer["layout"], "plugin");
        assert_eq!(answer["batch"], batch, "{reversed}");
        assert_eq!((&answer["secrets"][0]["arn"], &answer["secrets"][1]["arn"]), (&json!(one), &json!(two)));
        let config = answer["nextflow"]["config"].as_str().unwrap();
        assert!(config.contains(&format!("BB: '{two}:BB::'")) && !config.contains(".nextflow"), "{config}");
        assert_eq!(
            answer["iam"]["runStatements"],
            run_statements("workspace/42"),
            "of every copy of the run"
        );
    }
}

#[test]
fn the_layout_alone_decides_which_config_a_launch_returns() {
    for platform in Platform::ALL {
        for layout in Layout::ALL {
            let case = format!("{platform}, {layout}");
            let planned = planned(layout);
            let copies = if platform.claims() { Vec::new() } else { planned.lifecycle.copies.clone() };
            let lifecycle = Lifecycle { copies, ..planned.lifecycle.clone() };
            let run = Run { platform, lifecycle, ..planned };
            let in_json = shown(launched_as(run.clone(), Some(tokens(None)), None, JSON));
            let config = in_json["nextflow"]["config"].as_str().unwrap_or_default().to_owned();
            let lines = text_of(launched_as(run, Some(tokens(None)), None, Format::Text));
            let encoded = lines.lines().find_map(|line| line.strip_prefix("nextflowConfig="));
            assert_eq!(encoded.is_some(), !platform.claims(), "{case}");
            let decoded = String::from_utf8(STANDARD.decode(encoded.unwrap_or_default()).unwrap()).unwrap();
            assert_eq!(decoded, config, "{case}: text and JSON have the same config");
            let is = |part: &str| config.contains(part);
            let (plugin, tasks) = (is("nf-pipeline-secrets"), is("process.beforeScript"));
            let expected = match layout {
                _ if platform.claims() => (false, false),
                Layout::PerName => (false, true),
                Layout::Bundle | Layout::Plugin => (true, false),
            };
            assert_eq!((plugin, tasks), expected, "{case}");
        }
    }
}

fn text_of(answer: Answer) -> String {
    let event: Value = serde_json::from_str(answer.into_event().get()).unwrap();
    assert_eq!(event["statusCode"], 200);
    assert_eq!(event["headers"]["content-type"], "text/plain; charset=utf-8");
    event["body"].as_str().unwrap().to_owned()
}

#[test]
fn a_launch_on_an_hpc_platform_as_text_is_ids_and_tokens() {
    let head = format!("workflowId={RUN}\nstate=pending\nexpires=2026-10-26T12:42:21Z\n");
    for platform in Platform::ALL.into_iter().filter(|platform| platform.claims()) {
        for layout in Layout::ALL {
            for (tokens, lines) in [
                (Some(tokens(Some("claim-token"))), "runToken=run-token\nclaimToken=claim-token\n"),
                (None, ""),
            ] {
                let text = text_of(launched_as(run(platform, layout), tokens, None, Format::Text));
                assert_eq!(text, format!("{head}{lines}"), "{platform}, {layout}, {lines:?}");
            }
        }
    }
}

#[test]
fn a_launch_on_aws_batch_as_text_has_also_what_a_script_of_the_head_job_needs() {
    let head = format!("workflowId={RUN}\nstate=pending\nexpires=2026-10-26T12:42:21Z\n");
    let config_of = |run: &Run| {
        let answer = shown(launched_as(run.clone(), None, None, JSON));
        STANDARD.encode(answer["nextflow"]["config"].as_str().unwrap_or_default())
    };
    for (layout, store) in [
        (Layout::Bundle, String::new()),
        (Layout::PerName, format!("tower-{RUN}/AA tower-{RUN}/BB")),
        (Layout::Plugin, format!("tower-{RUN}.nextflow tower-{RUN}.nextflow.2")),
    ] {
        let full = planned(layout);
        let mut empty = full.clone();
        empty.lifecycle.secrets.clear();
        empty.lifecycle.copies.clear();
        for (run, store) in [(full, store), (empty, String::new())] {
            let config = config_of(&run);
            assert_eq!(config.is_empty(), run.lifecycle.copies.is_empty(), "{layout}");
            let tail = format!("layout={layout}\nregion=us-east-1\nstore={store}\nnextflowConfig={config}\n");
            let first = text_of(launched_as(run.clone(), Some(tokens(None)), None, Format::Text));
            assert_eq!(first, format!("{head}runToken=run-token\n{tail}"), "{layout}");
            let repeated = text_of(launched_as(run, None, None, Format::Text));
            assert_eq!(repeated, format!("{head}{tail}"), "{layout}: a repeated launch");
        }
    }
}

#[test]
fn a_preview_shows_what_a_launch_would_take() {
    let own = Secret {
        id: secret_id(502),
        owner: SecretOwner::User(user_id(17)),
        expires: Some(at("2030-01-31T00:00:00Z")),
        ..secret()
    };
    let preview = Preview {
        resolved: Resolved {
            secrets: vec![
                ResolvedSecret { secret: own, overrides: Some(secret()) },
                ResolvedSecret { secret: Secret { name: name("ZZ"), ..secret() }, overrides: None },
            ],
        },
        layout: Layout::PerName,
        copies: 2,
        target: Target::Home,
        warnings: vec!["A warning.".to_owned()],
    };
    for (platform, workspace, layout, scope) in [
        (Platform::AwsBatch, None, json!("per-name"), Some("user/17")),
        (Platform::AwsBatch, "42".parse().ok(), json!("per-name"), Some("workspace/42")),
        (Platform::Lsf, "42".parse().ok(), Value::Null, None),
    ] {
        let request = LaunchRequest {
            compute_env: None,
            workspace,
            platform,
            layout: Some(Layout::Bundle),
            secrets: SecretSelection::default(),
        };
        let mut expected = json!({
            "platform": platform.as_str(),
            "layout": layout,
            "copies": 2,
            "secrets": [
                {
                    "name": "NCBI_API_KEY", "owner": "user", "secretId": 502, "version": 3, "overrides": 501,
                    "expires": "2030-01-31T00:00:00Z",
                },
                { "name": "ZZ", "owner": "workspace", "secretId": 501, "version": 3, "overrides": null },
            ],
            "warnings": ["A warning."],
        });
        if let Some(scope) = scope {
            expected["iam"] = json!({ "statements": statements(scope) });
        }
        let answer =
            with_deployment(None, |deployment| previewed(&request, user_id(17), &preview, deployment));
        assert_eq!(shown(answer), expected, "{platform}, {scope:?}");
    }
}
