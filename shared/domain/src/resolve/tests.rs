use super::*;
use crate::ids::SecretId;
use crate::testing::{NOW, minutes, name, of_user, of_workspace, secret};

fn names(names: &[&str]) -> BTreeSet<SecretName> {
    names.iter().map(|text| name(text)).collect()
}

fn only(list: &[&str]) -> Selection {
    Selection::These(names(list))
}

/// Workspace secrets have the ids 1, 2, … in the order of the list; user secrets have 101, 102, ….
fn secrets(owner: crate::owner::SecretOwner, list: &[&str]) -> Vec<Secret> {
    let first = if owner == of_user() { 101 } else { 1 };
    (first..).zip(list).map(|(id, text)| secret(owner, id, text)).collect()
}

fn resolve_on(
    platform: Platform,
    request: &SecretSelection,
    workspace: &[Secret],
    user: &[Secret],
) -> std::result::Result<Vec<(String, i64, Option<i64>)>, String> {
    match resolve(request, workspace, user, platform, NOW, &Settings::new("test")) {
        Ok(resolved) => {
            let pins = resolved.pins().into_iter();
            Ok(pins
                .map(|pin| (pin.name.to_string(), pin.id.number(), pin.overrides.map(SecretId::number)))
                .collect())
        }
        Err(Error::Refused(text)) => Err(text),
        Err(other) => panic!("another error: {other:?}"),
    }
}

#[test]
fn a_secret_whose_name_is_reserved_refuses_the_launch_wherever_its_row_comes_from() {
    for (reserved, owner) in
        [("BASH_ENV", of_workspace()), ("ld_preload", of_user()), ("AWS_PROFILE", of_user())]
    {
        let secrets = secrets(owner, &["AA", reserved]);
        let (workspace, user) = if owner == of_user() { (vec![], secrets) } else { (secrets, vec![]) };
        for platform in [Platform::AwsBatch, Platform::Slurm] {
            let refused = resolve_on(platform, &SecretSelection::default(), &workspace, &user).unwrap_err();
            assert!(refused.contains(reserved) && refused.contains("another name"), "{refused}");
        }
    }
    let mut settings = Settings::new("test");
    settings.allow_aws_names = true;
    let user = secrets(of_user(), &["AWS_PROFILE"]);
    assert!(resolve(&SecretSelection::default(), &[], &user, Platform::AwsBatch, NOW, &settings).is_ok());
}

#[test]
fn a_user_secret_overrides_the_workspace_secret_of_the_same_name() {
    let all = Selection::All;
    let none = only(&[]);
    let cases = [
        // Workspace selection, user selection, workspace secrets, user secrets, resolved secrets.
        (
            "all of both",
            &all,
            &all,
            vec!["AA", "BB"],
            vec!["BB", "CC"],
            vec![("AA", 1, None), ("BB", 101, Some(2)), ("CC", 102, None)],
        ),
        (
            "none of the user's",
            &all,
            &none,
            vec!["AA", "BB"],
            vec!["BB"],
            vec![("AA", 1, None), ("BB", 2, None)],
        ),
        ("none of the workspace's", &none, &all, vec!["AA", "BB"], vec!["BB"], vec![("BB", 101, None)]),
        ("none at all", &none, &none, vec!["AA"], vec!["BB"], vec![]),
        (
            "some of each",
            &only(&["AA", "BB"]),
            &only(&["BB"]),
            vec!["AA", "BB", "CC"],
            vec!["BB", "CC"],
            vec![("AA", 1, None), ("BB", 101, Some(2))],
        ),
        (
            "a name that only differs by case is another",
            &all,
            &all,
            vec!["AA"],
            vec!["aa"],
            vec![("AA", 1, None), ("aa", 101, None)],
        ),
        (
            "by name, in any order of the input",
            &all,
            &all,
            vec!["ZZ", "MM"],
            vec!["AA"],
            vec![("AA", 101, None), ("MM", 2, None), ("ZZ", 1, None)],
        ),
    ];
    for (case, workspace_selection, user_selection, workspace, user, expected) in cases {
        let request = SecretSelection {
            workspace: workspace_selection.clone(),
            user: user_selection.clone(),
            optional: BTreeSet::new(),
        };
        let (workspace, user) = (secrets(of_workspace(), &workspace), secrets(of_user(), &user));
        let expected: Vec<_> =
            expected.into_iter().map(|(text, id, over)| (text.to_owned(), id, over)).collect();
        assert_eq!(resolve_on(Platform::AwsBatch, &request, &workspace, &user), Ok(expected), "{case}");
    }
}

#[test]
fn pins_and_sizes_are_those_of_the_resolved_secrets() {
    let mut workspace = secret(of_workspace(), 1, "AA");
    workspace.version = 9;
    workspace.properties.json_bytes = 512;
    let mut user = secret(of_user(), 101, "BB");
    user.properties.json_bytes = 768;
    let overridden = secret(of_workspace(), 2, "BB");
    let resolved = resolve(
        &SecretSelection::default(),
        &[workspace, overridden.clone()],
        &[user],
        Platform::AwsBatch,
        NOW,
        &Settings::new("test"),
    )
    .unwrap();
    assert_eq!(resolved.sizes(), [(name("AA"), 512), (name("BB"), 768)]);
    let pins: Vec<_> = resolved.pins().into_iter().map(|pin| (pin.owner, pin.version)).collect();
    assert_eq!(pins, [(of_workspace(), 9), (of_user(), 3)]);
    assert_eq!(resolved.secrets[1].overrides, Some(overridden));
}

#[test]
fn a_secret_that_cannot_be_delivered_refuses_the_launch_and_is_named() {
    let usual = secret(of_workspace(), 1, "LICENCE");
    let expires = |at| Secret { expires: Some(at), ..usual.clone() };
    let with = |change: fn(&mut Secret)| {
        let mut changed = usual.clone();
        change(&mut changed);
        changed
    };
    let expired = "the workspace secret LICENCE has expired";
    let lost = "the value of the workspace secret LICENCE was lost when the service was restored";
    let base64 = "the value of the workspace secret LICENCE cannot pass through Nextflow's secrets store \
                  unchanged: store it as base64 without line breaks (base64 -w0) and decode it in the task, or \
                  leave it out by listing the secrets that the launch needs in workspaceSecrets";
    let cases = [
        ("no expiry", usual.clone(), Platform::AwsBatch, None),
        ("expires in a minute", expires(minutes(1)), Platform::AwsBatch, None),
        ("expires now", expires(NOW), Platform::AwsBatch, Some(expired)),
        ("expired", expires(minutes(-1)), Platform::AwsBatch, Some(expired)),
        ("expired, on HPC", expires(minutes(-1)), Platform::Slurm, Some(expired)),
        ("lost", with(|secret| secret.properties.lost = true), Platform::AwsBatch, Some(lost)),
        (
            "not carried, where copies are made",
            with(|secret| secret.properties.nextflow_store = false),
            Platform::AwsBatch,
            None,
        ),
        (
            "not carried, on HPC",
            with(|secret| secret.properties.nextflow_store = false),
            Platform::Slurm,
            Some(base64),
        ),
        (
            "not carried, on another",
            with(|secret| secret.properties.nextflow_store = false),
            Platform::Moab,
            Some(base64),
        ),
        (
            "not carried by the store of a head job, on Kubernetes",
            with(|secret| secret.properties.nextflow_store = false),
            Platform::Kubernetes,
            None,
        ),
        (
            "as large as a Kubernetes Secret",
            with(|secret| secret.properties.raw_bytes = 1_048_576),
            Platform::Kubernetes,
            None,
        ),
        (
            "larger than a Kubernetes Secret",
            with(|secret| secret.properties.raw_bytes = 1_048_832),
            Platform::Kubernetes,
            Some(
                "the values have 1048832 bytes, each rounded up to a multiple of 256, and the Kubernetes Secret of a run \
                 can have at most 1048576",
            ),
        ),
        (
            "larger than a Kubernetes Secret, elsewhere",
            with(|secret| secret.properties.raw_bytes = 1_048_832),
            Platform::AwsBatch,
            None,
        ),
    ];
    for (case, secret, platform, refusal) in cases {
        let outcome = resolve_on(platform, &SecretSelection::default(), &[secret], &[]);
        match refusal {
            None => assert!(outcome.is_ok(), "{case}: {outcome:?}"),
            Some(text) => {
                let refused = outcome.expect_err(case);
                assert!(refused.starts_with(&format!("The launch is refused: {text}")), "{case}: {refused}");
            }
        }
    }
}

#[test]
fn an_expired_user_secret_never_falls_back_to_the_workspace_secret() {
    let user = Secret { expires: Some(NOW), ..secret(of_user(), 101, "LICENCE") };
    let refused = resolve_on(
        Platform::AwsBatch,
        &SecretSelection::default(),
        &[secret(of_workspace(), 1, "LICENCE")],
        &[user],
    );
    assert_eq!(refused, Err("The launch is refused: the user secret LICENCE has expired.".into()));
}

#[test]
fn an_expired_secret_that_is_overridden_or_not_selected_refuses_nothing() {
    let expired = Secret { expires: Some(NOW), ..secret(of_workspace(), 1, "LICENCE") };
    let user = secret(of_user(), 101, "LICENCE");
    let overridden =
        resolve_on(Platform::AwsBatch, &SecretSelection::default(), std::slice::from_ref(&expired), &[user]);
    assert_eq!(overridden, Ok(vec![("LICENCE".into(), 101, Some(1))]));
    let request = SecretSelection { workspace: only(&[]), ..SecretSelection::default() };
    assert_eq!(resolve_on(Platform::AwsBatch, &request, &[expired], &[]), Ok(vec![]));
}

#[test]
fn a_launch_takes_64_secrets_and_refuses_65() {
    let names: Vec<_> = (0..65).map(|number| format!("S{number}")).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let (workspace, user) = all.split_at(40);
    let resolve = |user: &[&str]| {
        let (workspace, user) = (secrets(of_workspace(), workspace), secrets(of_user(), user));
        resolve_on(Platform::AwsBatch, &SecretSelection::default(), &workspace, &user)
    };
    assert_eq!(resolve(&user[..24]).map(|resolved| resolved.len()), Ok(64));
    let refused = resolve(user).expect_err("65 secrets");
    assert_eq!(
        refused,
        "The launch is refused: 65 secrets are selected, and a launch can have at most 64: list the ones it \
         needs in workspaceSecrets and userSecrets."
    );
}

#[test]
fn a_selected_name_must_exist_unless_it_is_optional() {
    let request = |workspace: &Selection, user: &Selection, optional: &[&str]| SecretSelection {
        workspace: workspace.clone(),
        user: user.clone(),
        optional: names(optional),
    };
    let all = Selection::All;
    let cases = [
        (
            "of the workspace",
            request(&only(&["AA", "NO"]), &all, &[]),
            Err("there is no workspace secret NO"),
        ),
        ("of the user", request(&all, &only(&["UU", "NO"]), &[]), Err("there is no user secret NO")),
        (
            "the other scope's does not count",
            request(&only(&["UU"]), &all, &[]),
            Err("there is no workspace secret UU"),
        ),
        (
            "of both",
            request(&only(&["NO"]), &only(&["NO"]), &[]),
            Err("there is no workspace secret NO; there is no user secret NO"),
        ),
        ("optional", request(&only(&["AA", "NO"]), &only(&["NO"]), &["NO"]), Ok(vec!["AA"])),
        (
            "optional and present",
            request(&only(&["AA"]), &only(&["UU"]), &["AA", "UU"]),
            Ok(vec!["AA", "UU"]),
        ),
        ("optional, and not selected", request(&only(&[]), &all, &["AA"]), Ok(vec!["UU"])),
    ];
    for (case, request, expected) in cases {
        let (workspace, user) = (secrets(of_workspace(), &["AA"]), secrets(of_user(), &["UU"]));
        let resolved = resolve_on(Platform::AwsBatch, &request, &workspace, &user);
        let resolved = resolved.map(|list| list.into_iter().map(|(text, ..)| text).collect::<Vec<_>>());
        match expected {
            Ok(expected) => {
                assert_eq!(resolved, Ok(expected.into_iter().map(str::to_owned).collect()), "{case}");
            }
            Err(text) => assert_eq!(resolved, Err(format!("The launch is refused: {text}.")), "{case}"),
        }
    }
}

#[test]
fn a_refusal_gives_up_to_twenty_reasons_and_counts_the_rest() {
    let refusal = |absent: usize| {
        let absent: BTreeSet<_> = (0..absent).map(|number| name(&format!("N{number:02}"))).collect();
        let expired = Secret { expires: Some(NOW), ..secret(of_workspace(), 1, "OLD") };
        let request = SecretSelection { user: Selection::These(absent), ..SecretSelection::default() };
        resolve_on(Platform::AwsBatch, &request, &[expired], &[]).expect_err("a refusal")
    };
    let twenty = refusal(19);
    assert_eq!(twenty.matches("there is no user secret N").count(), 19);
    assert!(twenty.ends_with("; the workspace secret OLD has expired."), "{twenty}");
    let twenty_two = refusal(21);
    assert_eq!(twenty_two.matches("there is no user secret N").count(), 20);
    assert!(twenty_two.ends_with("; and 2 more."), "{twenty_two}");
}
