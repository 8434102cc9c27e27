use domain::environment::{
    CredentialsId, Environment, EnvironmentId, ExternalId, Region, RoleArn, Service, StoredCredentials,
    StoredEnvironment,
};
use domain::ids::{RunPrefix, UserId, WorkspaceId};
use serde_json::{Value, json};

use super::*;

const ID: &str = "0123456789abcdefghijkl";
const ROLE: &str = "arn:aws:iam::210987654321:role/pipeline-secrets-lab";

fn body<T: DeserializeOwned>(json: &Value) -> T {
    body::parse(&json.to_string()).unwrap()
}

fn refusal<T>(outcome: Result<T, Problem>) -> (u16, String) {
    match outcome {
        Ok(_) => panic!("it is accepted"),
        Err(problem) => (problem.status(), problem.message().to_owned()),
    }
}

fn stored_credentials() -> StoredCredentials {
    StoredCredentials {
        id: CredentialsId::parse(ID).unwrap(),
        workspace: WorkspaceId::new(42).unwrap(),
        name: "lab".into(),
        description: None,
        role: RoleArn::parse(ROLE).unwrap(),
        external_id: ExternalId::parse(&"x".repeat(32)).unwrap(),
        created: "2026-11-23T10:20:30.5Z".parse().unwrap(),
        created_by: UserId::new(7).unwrap(),
        updated: "2026-11-24T10:20:30Z".parse().unwrap(),
    }
}

fn stored_environment(config: &str, failure: Option<&str>) -> StoredEnvironment {
    let credentials = stored_credentials();
    StoredEnvironment {
        environment: Environment {
            id: EnvironmentId::parse(ID).unwrap(),
            region: Region::parse("eu-west-1").unwrap(),
            role: credentials.role,
            external_id: credentials.external_id,
            copy_key: None,
        },
        workspace: credentials.workspace,
        name: "batch".into(),
        description: Some("in Ireland".into()),
        credentials: credentials.id,
        config: config.into(),
        proved: credentials.created,
        failure: failure.map(str::to_owned),
        created: credentials.created,
        created_by: credentials.created_by,
        updated: credentials.updated,
    }
}

/// A body of `tw credentials add aws --mode role`, with this change of its credentials.
fn credentials(change: impl FnOnce(&mut Value)) -> Result<impl Sized, Problem> {
    let mut given =
        json!({"name": "lab", "provider": "aws", "keys": {"mode": "role", "assumeRoleArn": ROLE}});
    change(&mut given);
    credentials_draft(&body(&json!({"credentials": given})))
}

/// A body of `tw compute-envs add aws-batch manual`, with this change of its environment.
fn environment(change: impl FnOnce(&mut Value)) -> Result<impl Sized, Problem> {
    let mut given = json!({"name": "batch", "platform": "aws-batch", "credentialsId": ID, "config": {
        "discriminator": "aws-batch", "region": "eu-west-1", "workDir": "s3://lab/work", "headQueue": "head",
        "computeQueue": "tasks", "fusion2Enabled": false, "waveEnabled": false, "nvnmeStorageEnabled": false,
    }});
    change(&mut given);
    environment_draft(&body(&json!({"computeEnv": given, "labelIds": null})))
}

#[test]
fn a_role_is_read_as_tw_and_terraform_send_it() {
    let tw = json!({"credentials": {"name": "lab", "provider": "aws", "baseUrl": null,
        "keys": {"discriminator": "aws", "mode": "role", "assumeRoleArn": ROLE}}});
    let terraform = json!({"credentials": {"id": "", "name": "lab", "provider": "aws",
        "keys": {"accessKey": null, "secretKey": null, "assumeRoleArn": ROLE, "mode": "role", "externalId": null}}});
    for sent in [tw, terraform] {
        let draft = credentials_draft(&body(&sent)).unwrap();
        assert_eq!((draft.name.as_str(), draft.role.to_string().as_str()), ("lab", ROLE));
        assert_eq!((draft.description, draft.external_id), (None, None));
    }
    assert!(
        credentials(|given| given["keys"] = json!({"assumeRoleArn": ROLE})).is_ok(),
        "tw … -r without a mode"
    );
}

#[test]
fn access_keys_and_other_providers_are_refused_with_words_and_never_quoted() {
    const KEY: &str = "AKIAkAnArIeNvOgEl";
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 14] = [
        (|given| given["keys"]["accessKey"] = KEY.into(), "accessKey"),
        (|given| given["keys"]["secretKey"] = KEY.into(), "secretKey"),
        (|given| given["keys"]["secretKey"] = json!({"nested": KEY}), "secretKey"),
        (|given| given["keys"]["secret_key"] = KEY.into(), "secretKey"),
        (|given| given["keys"] = json!({"mode": "keys", "accessKey": KEY, "secretKey": KEY}), "accessKey"),
        (|given| given["keys"]["mode"] = "keys".into(), "mode"),
        (|given| given["keys"]["assumeRoleArn"] = Value::Null, "assumeRoleArn"),
        (|given| given["keys"]["assumeRoleArn"] = KEY.into(), "arn:aws:iam"),
        (
            |given| given["keys"]["assumeRoleArn"] = "arn:aws:iam::210987654321:role/admin".into(),
            "pipeline-secrets-",
        ),
        (|given| given["keys"] = Value::Null, "keys"),
        (|given| given["keys"] = KEY.into(), "keys"),
        (|given| given["provider"] = "google".into(), "provider"),
        (|given| given["name"] = "two words".into(), "name"),
        (|given| given["name"] = Value::Null, "name"),
    ];
    for (index, (change, part)) in cases.into_iter().enumerate() {
        let (status, message) = refusal(credentials(change));
        assert_eq!(status, 400, "{index}: {message}");
        assert!(message.contains(part) && !message.contains(KEY), "{index}: {message}");
    }
    assert!(credentials(|given| given["keys"]["accessKey"] = "".into()).is_ok());
    let (status, message) = refusal(credentials_draft(&body(&json!({"credentials": [KEY]}))));
    assert_eq!((status, message.as_str()), (400, "`credentials` must be a JSON object."));
}

#[test]
fn the_configuration_is_kept_as_it_was_sent() {
    let config = r#"{ "region":"eu-west-1", "headQueue": "head", "volumes": [], "secretsKmsKeyId": "1111", "later": {"a": 1.50} }"#;
    let sent = format!(
        r#"{{"computeEnv": {{"name": "batch", "platform": "aws-batch", "credentialsId": "{ID}", "description": "d", "config": {config}}}}}"#
    );
    let draft = environment_draft(&body::parse(&sent).unwrap()).unwrap();
    assert_eq!((draft.config.as_str(), draft.copy_key.as_deref()), (config, Some("1111")));
    assert_eq!((draft.region.as_str(), draft.credentials.as_str()), ("eu-west-1", ID));
    let answer = json!(EnvironmentAnswer::new(&stored_environment(config, None)));
    let returned = json!({"region": "eu-west-1", "headQueue": "head", "volumes": [], "secretsKmsKeyId": "1111",
        "later": {"a": 1.5}, "discriminator": "aws-batch"});
    assert_eq!(answer["computeEnv"]["config"], returned);
}

#[test]
fn what_can_hold_a_secret_is_refused_with_words_and_never_quoted() {
    const TEXT: &str = "kAnArIeNvOgEl";
    let is_refused = |name: &str, value: Value| {
        let (status, message) = refusal(environment(|given| given["config"][name] = value));
        assert_eq!(status, 400, "{name}: {message}");
        assert!(message.contains(&format!("config.{name}`")) && !message.contains(TEXT), "{message}");
    };
    is_refused("forge", json!({"type": "SPOT"}));
    is_refused("environment", json!([{"name": "A", "value": TEXT, "head": true}]));
    for script in ["preRunScript", "postRunScript", "nextflowConfig"] {
        is_refused(script, TEXT.into());
        is_refused(script, json!([TEXT]));
    }
    for name in ["forge", "environment", "preRunScript", "postRunScript", "nextflowConfig"] {
        for empty in [Value::Null, json!(""), json!([]), json!({})] {
            assert!(environment(|given| given["config"][name] = empty.clone()).is_ok(), "{name}: {empty}");
        }
    }
    // A misspelled key must not select the default key, nor hide a script.
    for name in ["secretsKmsKeyID", "secrets_kms_key_id", "PreRunScript", "pre_run_script"] {
        let (status, message) = refusal(environment(|given| given["config"][name] = TEXT.into()));
        assert!(status == 400 && !message.contains(TEXT), "{name}: {message}");
    }
    // An escape in a name does not hide it.
    let sent = format!(
        r#"{{"computeEnv": {{"name": "batch", "platform": "aws-batch", "credentialsId": "{ID}",
            "config": {{"region": "eu-west-1", "preRun\u0053cript": "{TEXT}"}}}}}}"#
    );
    assert_eq!(refusal(environment_draft(&body::parse(&sent).unwrap())).0, 400);
}

#[test]
fn other_platforms_and_malformed_environments_are_refused() {
    type Change = fn(&mut Value);
    let cases: [(Change, u16, &str); 9] = [
        (|given| given["platform"] = "google-batch".into(), 400, "platform"),
        (|given| given["platform"] = Value::Null, 400, "platform"),
        (|given| given["name"] = "x".into(), 400, "2 to 99"),
        (|given| given["config"] = Value::Null, 400, "config"),
        (|given| given["config"]["region"] = Value::Null, 400, "region"),
        (|given| given["config"]["region"] = "EU".into(), 400, "region"),
        (|given| given["credentialsId"] = Value::Null, 400, "credentialsId"),
        (|given| given["credentialsId"] = "x".into(), 422, "no credentials with this ID"),
        (|given| given["config"]["workDir"] = "x".repeat(16 * 1024).into(), 413, "16 KiB"),
    ];
    for (index, (change, expected, part)) in cases.into_iter().enumerate() {
        let (status, message) = refusal(environment(change));
        assert_eq!(status, expected, "{index}: {message}");
        assert!(message.contains(part), "{index}: {message}");
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (value, is_readable) in [
        ("1e300", true),
        ("1e999", false),
        (r#""\ud83d\ude00""#, true),
        (r#""\ud800""#, false),
        (&*deep, false),
    ] {
        let sent = format!(
            r#"{{"computeEnv": {{"name": "batch", "platform": "aws-batch", "credentialsId": "{ID}",
                "config": {{"region": "eu-west-1", "other": {value}}}}}}}"#
        );
        let read = body::parse(&sent).and_then(|body| environment_draft(&body));
        assert_eq!(read.is_ok(), is_readable, "{value}");
    }
    let labelled = json!({"computeEnv": {}, "labelIds": [7]});
    assert!(refusal(environment_draft(&body(&labelled))).1.contains("labelIds"));
}

#[test]
fn an_update_changes_only_what_it_names() {
    let update = environment_update(&body(&json!({"name": "renamed", "description": null}))).unwrap();
    assert_eq!(
        (update.name.as_deref(), update.description, update.credentials),
        (Some("renamed"), None, None)
    );
    for (given, status) in [
        (json!({"name": "x"}), 400),
        (json!({"credentialsId": "x"}), 422),
        (json!({"name": "renamed", "config": {"region": "us-east-1"}}), 400),
        (json!({"computeEnv": {"name": "renamed"}}), 400),
    ] {
        assert_eq!(refusal(environment_update(&body(&given))).0, status, "{given}");
    }
}

#[test]
fn credentials_are_answered_as_clients_read_them() {
    let stored = stored_credentials();
    let service = Service {
        roles: vec!["arn:aws:iam::123456789012:role/launch".into()],
        bus: "arn:aws:events:us-east-1:123456789012:event-bus/b".into(),
        deployment: "prod".into(),
        prefix: RunPrefix::new("ab12").unwrap(),
    };
    let answer = json!(CredentialsAnswer::new(&stored, &service));
    let expected = json!({"id": ID, "name": "lab", "description": null, "provider": "aws",
        "keys": {"discriminator": "aws", "mode": "role", "assumeRoleArn": ROLE, "externalId": "x".repeat(32)},
        "dateCreated": "2026-11-23T10:20:30Z", "lastUpdated": "2026-11-24T10:20:30Z", "lastUsed": null});
    assert_eq!(answer["credentials"], expected);
    let policy: Value = serde_json::from_str(answer["setupSnippet"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "x".repeat(32));
    assert_eq!(answer["setup"]["parameters"]["Scope"], "workspace/42");
    let all = [stored];
    assert_eq!(json!(CredentialsList::new(&all, None))["credentials"], json!([expected]));
    assert_eq!(json!(CredentialsList::new(&all, Some("aws-batch")))["credentials"], json!([expected]));
    assert_eq!(json!(CredentialsList::new(&all, Some("k8s-platform")))["credentials"], json!([]));
}

#[test]
fn environments_are_answered_as_clients_read_them_and_never_with_deleted() {
    let (valid, invalid) = (stored_environment("{}", None), stored_environment("{}", Some("a cause")));
    for (stored, status, message) in
        [(&valid, "AVAILABLE", Value::Null), (&invalid, "INVALID", json!("a cause"))]
    {
        let answer = json!(EnvironmentAnswer::new(stored));
        let expected = json!({"id": ID, "name": "batch", "description": "in Ireland", "platform": "aws-batch",
            "config": {"discriminator": "aws-batch"}, "credentialsId": ID, "status": status, "message": message,
            "dateCreated": "2026-11-23T10:20:30Z", "lastUpdated": "2026-11-24T10:20:30Z", "lastUsed": null,
            "primary": null, "labels": []});
        assert_eq!(
            answer,
            json!({"computeEnv": expected}),
            "Terraform takes `deleted`, even false, for deleted"
        );
        let list = std::slice::from_ref(stored);
        let entry = json!({"id": ID, "name": "batch", "platform": "aws-batch", "status": status, "message": message,
            "credentialsId": ID, "region": "eu-west-1", "lastUsed": null, "primary": null, "visibility": null,
            "workspaceName": null});
        assert_eq!(json!(EnvironmentList::new(list, None)), json!({"computeEnvs": [entry]}));
        assert_eq!(json!(EnvironmentList::new(list, Some(status))), json!({"computeEnvs": [entry]}));
        assert_eq!(json!(EnvironmentList::new(list, Some("ERRORED"))), json!({"computeEnvs": []}));
    }
    assert_eq!(
        json!(Validated::new(Some("a cause"))),
        json!({"status": "INVALID", "message": "a cause", "transientError": false})
    );
}
