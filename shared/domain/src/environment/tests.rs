use serde_json::{Value, json};

use super::*;
use crate::ids::RunPrefix;
use crate::testing::{NOW, Sequence, user_id, workspace_id};

const ROLE: &str = "arn:aws:iam::210987654321:role/pipeline-secrets-team";

fn environment() -> Environment {
    Environment {
        id: EnvironmentId::parse("0123456789abcdefghijkl").unwrap(),
        region: Region::parse("eu-west-1").unwrap(),
        role: RoleArn::parse(ROLE).unwrap(),
        external_id: ExternalId::parse("0123456789abcdefghijklmnopqrstuv").unwrap(),
        copy_key: None,
    }
}

#[test]
fn only_arns_of_roles_with_the_prefix_are_accepted() {
    let long = format!("arn:aws:iam::210987654321:role/pipeline-secrets-{}", "x".repeat(47));
    for (text, valid) in [
        (ROLE, true),
        (&*long, true),
        (&*format!("{long}x"), false),
        ("arn:aws-us-gov:iam::210987654321:role/pipeline-secrets-a+=,.@_-9", true),
        ("arn:aws-cn:iam::210987654321:role/pipeline-secrets-a", true),
        ("arn:aws-other:iam::210987654321:role/pipeline-secrets-a", false),
        ("arn:aws:iam::21098765432:role/pipeline-secrets-a", false),
        ("arn:aws:iam::21098765432x:role/pipeline-secrets-a", false),
        ("arn:aws:iam::*:role/pipeline-secrets-a", false),
        ("arn:aws:iam:eu-west-1:210987654321:role/pipeline-secrets-a", false),
        ("arn:aws:sts::210987654321:role/pipeline-secrets-a", false),
        ("arn:aws:iam::210987654321:user/pipeline-secrets-a", false),
        ("arn:aws:iam::210987654321:role/path/pipeline-secrets-a", false),
        ("arn:aws:iam::210987654321:role/pipeline-secrets-a/b", false),
        ("arn:aws:iam::210987654321:role/pipeline-secrets-", false),
        ("arn:aws:iam::210987654321:role/pipeline-secrets-*", false),
        ("arn:aws:iam::210987654321:role/pipeline-secrets-a:b", false),
        ("arn:aws:iam::210987654321:role/Pipeline-secrets-a", false),
        ("arn:aws:iam::210987654321:role/admin", false),
        ("210987654321", false),
        ("", false),
    ] {
        match RoleArn::parse(text) {
            Ok(role) => {
                assert!(valid, "{text}");
                assert_eq!(role.to_string(), text);
                assert_eq!(serde_json::to_value(&role).unwrap(), text);
            }
            Err(error) => {
                assert!(!valid && matches!(error, Error::Invalid(_)), "{text}: {error:?}");
                assert!(serde_json::from_value::<RoleArn>(text.into()).is_err(), "{text}");
            }
        }
    }
    let role = RoleArn::parse(ROLE).unwrap();
    assert_eq!((role.partition(), role.account()), ("aws", "210987654321"));
    assert_eq!(role.name(), "pipeline-secrets-team");
}

#[test]
fn ids_external_ids_and_regions_have_their_form() {
    for (text, id, external, region) in [
        ("0123456789abcdefghijkl", true, false, false),
        ("0123456789abcdefghijk", false, false, false),
        ("0123456789abcdefghijk-", false, false, false),
        ("0123456789abcdefghijklmnopqrstuv", false, true, false),
        ("0123456789abcdefghijklmnopqrstu-", false, false, false),
        ("0123456789abcdefghijklmnopqrstuvw", false, false, false),
        ("us-gov-west-1", false, false, true),
        ("eu-west-1", false, false, true),
        ("-eu-west-1", false, false, false),
        ("eu-west-1.attacker.example", false, false, false),
        ("eu-west-1/", false, false, false),
        ("EU-WEST-1", false, false, false),
        ("", false, false, false),
    ] {
        assert_eq!(EnvironmentId::parse(text).is_ok(), id, "{text}");
        assert_eq!(CredentialsId::parse(text).is_ok(), id, "{text}");
        assert_eq!(ExternalId::parse(text).is_ok(), external, "{text}");
        assert_eq!(Region::parse(text).is_ok(), region, "{text}");
    }
}

#[test]
fn random_ids_have_their_form_and_differ() {
    let randomness = Sequence::default();
    let (first, second) = (ExternalId::make_random(&randomness), ExternalId::make_random(&randomness));
    assert_ne!(first, second);
    assert_eq!(ExternalId::parse(first.as_str()).unwrap(), first);
    let id = EnvironmentId::make_random(&randomness);
    assert_eq!(EnvironmentId::parse(id.as_str()).unwrap(), id);
    let id = CredentialsId::make_random(&randomness);
    assert_eq!(CredentialsId::parse(id.as_str()).unwrap(), id);
}

#[test]
fn copies_are_stored_in_the_account_of_the_role() {
    let location = environment().location();
    assert_eq!(
        (&*location.partition, &*location.account, &*location.region),
        ("aws", "210987654321", "eu-west-1")
    );
}

#[test]
fn a_target_is_stored_as_its_environment_and_home_as_nothing() {
    let elsewhere = Target::Elsewhere(environment());
    let stored = json!({
        "id": "0123456789abcdefghijkl",
        "region": "eu-west-1",
        "role": ROLE,
        "externalId": "0123456789abcdefghijklmnopqrstuv",
        "copyKey": null,
    });
    assert_eq!(serde_json::to_value(&elsewhere).unwrap(), stored);
    assert_eq!(serde_json::from_value::<Target>(stored.clone()).unwrap(), elsewhere);
    assert_eq!(serde_json::to_value(Target::Home).unwrap(), Value::Null);
    assert_eq!(serde_json::from_value::<Target>(Value::Null).unwrap(), Target::Home);
    for missing in ["id", "region", "role", "externalId"] {
        let mut damaged = stored.clone();
        damaged.as_object_mut().unwrap().remove(missing);
        assert!(serde_json::from_value::<Target>(damaged).is_err(), "{missing}: not home");
    }
}

#[test]
fn the_setup_trusts_each_function_with_the_external_id_and_its_own_duty() {
    let roles = Duty::ALL.map(|duty| format!("arn:aws:iam::111122223333:role/{}", duty.as_str()));
    let setup = setup(&credentials(), &service(&roles));
    let tags = |duty: &str| {
        json!({
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::111122223333:role/{duty}")},
            "Action": "sts:TagSession",
            "Condition": {
                "StringEquals": {"aws:RequestTag/duty": duty},
                "ForAllValues:StringEquals": {"aws:TagKeys": "duty"},
            },
        })
    };
    let expected = json!([
        {
            "Sid": "ForThisWorkspace",
            "Effect": "Allow",
            "Principal": {"AWS": roles},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "0123456789abcdefghijklmnopqrstuv"}},
        },
        tags("check"),
        tags("deliver"),
        tags("observe"),
        tags("remove"),
    ]);
    assert_eq!(setup.trust_policy["Statement"], expected);
    let parameters = [
        ("RoleName", "pipeline-secrets-team"),
        ("ServiceRoles", &roles.join(",")),
        ("ServiceBus", "arn:aws:events:us-east-1:111122223333:event-bus/b"),
        ("Deployment", "prod"),
        ("RunPrefix", "ab12"),
        ("Scope", "workspace/42"),
        ("ExternalId", "0123456789abcdefghijklmnopqrstuv"),
    ];
    assert_eq!(setup.parameters, parameters.map(|(name, text)| (name, text.to_owned())));
}

#[test]
fn the_trust_policy_is_within_iams_limit_for_the_longest_names_of_roles() {
    let role = format!("arn:aws-us-gov:iam::111122223333:role/{}", "x".repeat(64));
    let policy = setup(&credentials(), &service(&vec![role; 4])).trust_policy.to_string();
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    assert!(policy.len() <= 2048, "{} characters", policy.len());
}

fn credentials() -> StoredCredentials {
    StoredCredentials {
        id: CredentialsId::parse("0123456789abcdefghijkl").unwrap(),
        workspace: workspace_id(),
        name: "team".into(),
        description: None,
        role: environment().role,
        external_id: environment().external_id,
        created: NOW,
        created_by: user_id(7),
        updated: NOW,
    }
}

fn service(roles: &[String]) -> Service {
    Service {
        roles: roles.to_vec(),
        bus: "arn:aws:events:us-east-1:111122223333:event-bus/b".into(),
        deployment: "prod".into(),
        prefix: RunPrefix::new("ab12").unwrap(),
    }
}
