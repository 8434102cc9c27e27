use super::super::*;
use crate::operation::Operation;
use crate::testing::event::read_body;
use crate::testing::form::{self, Presence, Type};
use crate::testing::sample::{name, workspace_id};
use domain::platform::Platform;
use serde_json::json;

fn read(body: &[u8]) -> Result<LaunchRequest, Problem> {
    read_body(Operation::LaunchRun, body, |fields| request(fields, Some(workspace_id(42))))
}

fn these(names: &[&str]) -> Selection {
    Selection::These(names.iter().map(|text| name(text)).collect())
}

#[test]
fn a_malformed_launch_is_refused_by_the_field() {
    let example = [
        ("platform", "\"aws-batch\""),
        ("layout", "\"per-name\""),
        ("workspaceSecrets", "[\"AA\"]"),
        ("userSecrets", "[]"),
        ("optional", "[\"AA\"]"),
        ("report", "true"),
    ];
    let fields = [
        ("platform", Type::Text, Presence::Required),
        ("layout", Type::Text, Presence::Optional),
        ("workspaceSecrets", Type::Texts, Presence::NotNull),
        ("userSecrets", Type::Texts, Presence::NotNull),
        ("optional", Type::Texts, Presence::Optional),
        ("report", Type::Flag, Presence::Optional),
    ];
    form::check(&example, &fields, |body| read(body).map(drop));
}

#[test]
fn only_true_asks_for_reports() {
    for (body, expected) in [
        (json!({ "platform": "aws-batch" }), false),
        (json!({ "platform": "aws-batch", "report": null }), false),
        (json!({ "platform": "aws-batch", "report": false }), false),
        (json!({ "platform": "aws-batch", "report": true }), true),
    ] {
        let text = body.to_string();
        let reports =
            read_body(Operation::LaunchRun, text.as_bytes(), |fields: LaunchBody| Ok(fields.reports()));
        assert_eq!(reports.ok(), Some(expected), "{text}");
    }
}

#[test]
fn a_launch_takes_all_secrets_unless_it_names_some_or_none() {
    let all = LaunchRequest {
        compute_env: None,
        workspace: Some(workspace_id(42)),
        platform: Platform::AwsBatch,
        layout: None,
        secrets: SecretSelection::default(),
    };
    for (body, expected) in [
        (json!({ "platform": "aws-batch" }), all.clone()),
        (json!({ "platform": "aws-batch", "layout": null, "optional": null }), all.clone()),
        (
            json!({ "platform": "grid-engine" }),
            LaunchRequest { platform: Platform::GridEngine, ..all.clone() },
        ),
        (
            json!({ "platform": "aws-batch", "layout": "bundle" }),
            LaunchRequest { layout: Some(Layout::Bundle), ..all.clone() },
        ),
        (
            json!({ "platform": "aws-batch", "layout": "per-name" }),
            LaunchRequest { layout: Some(Layout::PerName), ..all.clone() },
        ),
        (
            json!({ "platform": "aws-batch", "layout": "plugin" }),
            LaunchRequest { layout: Some(Layout::Plugin), ..all.clone() },
        ),
        (
            json!({ "platform": "aws-batch", "workspaceSecrets": ["BB", "AA", "AA"], "userSecrets": [] }),
            LaunchRequest {
                secrets: SecretSelection {
                    workspace: these(&["AA", "BB"]),
                    user: these(&[]),
                    ..SecretSelection::default()
                },
                ..all.clone()
            },
        ),
        (
            json!({ "platform": "aws-batch", "userSecrets": ["CC"], "optional": ["CC", "DD"] }),
            LaunchRequest {
                secrets: SecretSelection {
                    user: these(&["CC"]),
                    optional: [name("CC"), name("DD")].into(),
                    ..SecretSelection::default()
                },
                ..all.clone()
            },
        ),
    ] {
        assert_eq!(read(body.to_string().as_bytes()).unwrap(), expected, "{body}");
    }
}

#[test]
fn an_unknown_platform_layout_or_name_is_refused_and_not_quoted() {
    for (body, names) in [
        (json!({ "platform": "hidden" }), "platform"),
        (json!({ "platform": "AWS-BATCH" }), "platform"),
        (json!({ "platform": "" }), "platform"),
        (json!({ "platform": "slurm", "layout": "hidden" }), "layout"),
        (json!({ "platform": "slurm", "userSecrets": ["AA", "hidden-"] }), "name"),
        (json!({ "platform": "slurm", "workspaceSecrets": [""] }), "name"),
        (json!({ "platform": "slurm", "optional": ["1hidden"] }), "name"),
        (json!({ "platform": "slurm", "optional": ["AA", 1] }), "optional"),
        (json!({ "platform": "slurm", "userSecrets": [null] }), "userSecrets"),
    ] {
        let problem = read(body.to_string().as_bytes()).unwrap_err();
        let message = problem.message();
        assert_eq!(problem.status(), 400, "{body}: {message}");
        assert!(message.contains(names) && !message.contains("hidden"), "{body}: {message}");
    }
}
