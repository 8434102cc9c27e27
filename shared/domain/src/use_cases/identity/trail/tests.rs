use serde_json::json;

use super::*;

fn line(action: &str, at: u8, more: &Value) -> Value {
    let at = format!("2026-11-23T10:20:{at:02}Z");
    let mut line = json!({"message": "audit", "action": action, "audit.at": at, "scope": "WS#5",
        "subjects": "", "level": "INFO"});
    for (name, value) in more.as_object().into_iter().flatten() {
        line[name] = value.clone();
    }
    Value::String(line.to_string())
}

fn read(lines: &[Value]) -> Trail {
    Trail::parse(lines).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_latest_role_counts_in_any_order_of_lines() {
    let set = line("participant.set", 1, &json!({"person": "7", "detail": "owner"}));
    let removed = line("participant.removed", 2, &json!({"person": "7"}));
    let rejoined = line("participant.set", 3, &json!({"person": "7", "detail": "view"}));
    let last = |lines: &[Value]| read(lines).roles.into_values().next().map(|(_, role)| role);
    assert_eq!(last(&[set.clone(), removed.clone()]), Some(None));
    assert_eq!(last(&[removed.clone(), set.clone()]), Some(None));
    assert_eq!(last(&[rejoined.clone(), removed.clone(), set.clone()]), Some(Some(Role::View)));
}

#[test]
fn the_newest_version_of_each_secret_is_kept_and_deletions_are_final() {
    let trail = read(&[
        line("secret.updated", 2, &json!({"subjects": "9@4"})),
        line("secret.created", 1, &json!({"subjects": "9@1,10@1"})),
        line("secret.deleted", 1, &json!({"subjects": "10@1"})),
    ]);
    let ids = |id| SecretId::new(id).map(|id| ("WS#5".parse().ok(), id));
    let written: Vec<_> = trail.written.iter().map(|((scope, id), v)| ((Some(*scope), *id), *v)).collect();
    assert_eq!(written, [(ids(9).expect("an id"), 4), (ids(10).expect("an id"), 1)]);
    assert_eq!(trail.deleted.len(), 1);
}

#[test]
fn every_action_that_is_logged_is_understood() {
    let all = json!({"subjects": "9@4", "person": "7"});
    for action in AuditAction::ALL {
        let mut more = all.clone();
        more["detail"] = match action {
            AuditAction::TokenRevoked => json!("token 3"),
            AuditAction::ParticipantSet => json!("launch"),
            AuditAction::WorkspacePlatformsChanged => json!("aws-batch, slurm"),
            AuditAction::ComputeEnvDeleted => json!("compute environment 0123456789abcdefghijkl, eu-west-1"),
            AuditAction::CredentialsDeleted => json!("credentials 0123456789abcdefghijkl, a role"),
            _ => Value::Null,
        };
        read(&[line(action.as_str(), 1, &more)]);
    }
}

#[test]
fn a_line_that_is_not_an_audit_line_is_refused_by_its_place_and_not_quoted() {
    let good = line("secret.deleted", 1, &json!({"subjects": "9@4"}));
    for bad in [
        json!(7),
        json!("START RequestId: kAnArIeNvOgEl"),
        json!({"message": "audit"}),
        line("secret.forgotten", 1, &json!({})),
        line("secret.deleted", 1, &json!({"subjects": "9"})),
        line("secret.deleted", 1, &json!({"scope": "ORG#5"})),
        line("participant.set", 1, &json!({"person": "7", "detail": "emperor"})),
        line("participant.removed", 1, &json!({"person": "7", "scope": "USER#7"})),
        line("token.revoked", 1, &json!({"detail": "kAnArIeNvOgEl"})),
        line("compute-env.deleted", 1, &json!({"detail": "compute environment kAnArIeNvOgEl, x"})),
        line("compute-env.deleted", 1, &json!({})),
        line("credentials.deleted", 1, &json!({"detail": "credentials kAnArIeNvOgEl"})),
    ] {
        let refused = Trail::parse(&[good.clone(), bad]).expect_err("a bad line").to_string();
        assert!(refused.contains("events[1]") && !refused.contains("kAnArIeNvOgEl"), "{refused}");
    }
    assert!(Trail::parse(&vec![good; MAX_LINES + 1]).is_err());
}

#[test]
fn one_call_accepts_at_most_2000_lines() {
    let lines = vec![line("secret.deleted", 1, &json!({"subjects": "9@4"})); MAX_LINES + 1];
    assert!(Trail::parse(&lines[1..]).is_ok());
    let refused = Trail::parse(&lines).unwrap_err().to_string();
    assert_eq!(
        refused,
        "events has 2001 lines, and one call accepts at most 2000: split them into several calls."
    );
}

#[test]
fn a_line_without_a_valid_field_that_its_action_needs_is_refused() {
    let whole = json!({"subjects": "9@4", "person": "7", "detail": "token 3"});
    let without = |name: &str, value: Value| {
        let mut more = whole.clone();
        more[name] = value;
        more
    };
    let cases = [
        ("secret.created", "subjects", Value::Null),
        ("secret.created", "subjects", json!("9@4,x@1")),
        ("secret.updated", "subjects", json!("9@-1")),
        ("secret.deleted", "subjects", json!("0@1")),
        ("token.revoked", "detail", Value::Null),
        ("token.revoked", "detail", json!("3")),
        ("participant.set", "detail", Value::Null),
        ("participant.set", "person", Value::Null),
        ("participant.set", "scope", json!("USER#7")),
        ("participant.removed", "person", json!("sam")),
        ("workspace.platforms-changed", "scope", json!("USER#7")),
        ("workspace.platforms-changed", "detail", json!("aws-batch, nomad")),
        ("secret.deleted", "message", json!("refused")),
        ("secret.deleted", "audit.at", json!("yesterday")),
        ("secret.deleted", "audit.at", Value::Null),
        ("secret.deleted", "scope", Value::Null),
        ("run.launched", "audit.at", Value::Null),
    ];
    for (action, name, value) in cases {
        let refused = Trail::parse(&[line(action, 1, &without(name, value.clone()))]);
        let refused = refused.expect_err("a line that lacks something").to_string();
        let expected = "events[0] is not an audit trail line that this version understands.";
        assert_eq!(refused, expected, "{action} with {name} {value}");
    }
}

#[test]
fn the_latest_platforms_of_a_workspace_count_even_if_there_are_none() {
    let change = |at, detail: &str| line("workspace.platforms-changed", at, &json!({ "detail": detail }));
    let last = |lines: &[Value]| read(lines).platforms.into_values().next().map(|(_, platforms)| platforms);
    let (none, two) = (change(1, "none"), change(2, "aws-batch, slurm"));
    assert_eq!(last(std::slice::from_ref(&none)), Some(Vec::new()));
    for lines in [[none.clone(), two.clone()], [two.clone(), none.clone()]] {
        assert_eq!(last(&lines), Some(vec![Platform::AwsBatch, Platform::Slurm]));
    }
    assert_eq!(last(&[change(3, "none"), two]), Some(Vec::new()));
}

#[test]
fn roles_platforms_and_secrets_of_different_workspaces_and_people_are_kept_apart() {
    let trail = read(&[
        line("participant.removed", 1, &json!({"person": "7"})),
        line("participant.removed", 1, &json!({"person": "8"})),
        line("participant.set", 2, &json!({"person": "7", "scope": "WS#6", "detail": "view"})),
        line("workspace.platforms-changed", 1, &json!({"detail": "lsf"})),
        line("workspace.platforms-changed", 2, &json!({"scope": "WS#6", "detail": "none"})),
        line("secret.updated", 1, &json!({"subjects": "9@4"})),
        line("secret.updated", 1, &json!({"subjects": "9@2", "scope": "USER#7"})),
        line("secret.deleted", 1, &json!({"subjects": "9@2", "scope": "USER#8"})),
        line("token.revoked", 1, &json!({"detail": "token 3", "scope": "USER#7"})),
        line("token.revoked", 1, &json!({"detail": "token 4", "scope": "USER#7"})),
    ]);
    let roles: Vec<_> = trail.roles.values().map(|(_, role)| *role).collect();
    assert_eq!(roles, [None, None, Some(Role::View)]);
    let platforms: Vec<_> = trail.platforms.values().map(|(_, platforms)| platforms.clone()).collect();
    assert_eq!(platforms, [vec![Platform::Lsf], Vec::new()]);
    let written: Vec<_> = trail.written.iter().map(|((scope, _), v)| (scope.to_string(), *v)).collect();
    assert_eq!(written, [("WS#5".to_owned(), 4), ("USER#7".to_owned(), 2)]);
    let deleted: Vec<_> = trail.deleted.iter().map(|(scope, id)| (scope.to_string(), id.number())).collect();
    assert_eq!(deleted, [("USER#8".to_owned(), 9)]);
    assert_eq!(trail.revoked.iter().map(|id| id.number()).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn lines_about_additions_are_accepted_and_ignored() {
    for action in ["user.created", "token.created", "workspace.created", "run.launched", "run.ended"] {
        let trail = read(&[line(action, 1, &json!({"subjects": "9@4", "person": "7", "detail": "token 3"}))]);
        assert_eq!(trail, Trail::default(), "{action}");
    }
}
