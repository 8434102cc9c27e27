use super::super::testing::{
    Env, OTHER_OWNER, OWNER, ROLE, VIEWER, by, credentials_draft, elsewhere, here, role,
};
use super::*;
use crate::testing::{error_of, minutes, run_now};

fn create(
    env: &Env,
    user: i64,
    workspace: Option<WorkspaceId>,
    draft: &CredentialsDraft,
) -> Result<CredentialsId> {
    run_now(env.service.create_credentials(&by(user), workspace, draft, &env.fixture.context()))
}

fn update(env: &Env, user: i64, id: &CredentialsId, draft: &CredentialsDraft) -> Result<()> {
    let context = env.fixture.context_at(minutes(5));
    run_now(env.service.update_credentials(&by(user), here(), id, draft, &context))
}

#[test]
fn new_credentials_get_an_external_id_of_their_own() {
    let env = Env::new();
    let first = env.credentials("one", ROLE);
    let second = env.credentials("two", ROLE);
    assert_eq!((&first.role, first.name.as_str()), (&role(ROLE), "one"));
    assert_ne!(first.external_id, second.external_id, "never shared, even for the same role");
    assert_ne!(first.id, second.id);
    let audit = env.fixture.table.audit();
    assert_eq!(audit[0].action, AuditAction::CredentialsCreated);
    assert_eq!(audit[0].detail, Some(format!("credentials {}, {ROLE}", first.id)));
    assert!(!format!("{audit:?}").contains(first.external_id.as_str()), "ids and the role only");
}

#[test]
fn only_owners_and_admins_of_the_workspace_change_credentials() {
    let env = Env::new();
    let stored = env.credentials("one", ROLE);
    let draft = credentials_draft("two");
    let writes = env.writes();
    for (user, workspace, code) in [
        (VIEWER, here(), "forbidden"),
        (OTHER_OWNER, here(), "not-found"),
        (OWNER, elsewhere(), "not-found"),
        (OWNER, None, "invalid"),
    ] {
        let context = env.fixture.context();
        let created = error_of(create(&env, user, workspace, &draft));
        let deleted = run_now(env.service.delete_credentials(&by(user), workspace, &stored.id, &context));
        let checked = run_now(env.service.validate_credentials(&by(user), workspace, &stored.id, &context));
        let who = by(user);
        let updated = run_now(env.service.update_credentials(&who, workspace, &stored.id, &draft, &context));
        let errors = [created, error_of(deleted), error_of(checked), error_of(updated)];
        assert_eq!(errors.map(|error| error.code()), [code; 4], "{user} in {workspace:?}");
    }
    assert_eq!(env.writes(), writes);
    assert_eq!(env.roles.checked.borrow().len(), 0, "no role is assumed for others");
    create(&env, 2, here(), &draft).unwrap();
}

#[test]
fn participants_read_credentials_of_their_workspace_only() {
    let env = Env::new();
    let (second, first) = (env.credentials("two", ROLE), env.credentials("one", ROLE));
    let context = env.fixture.context();
    let list = |user, workspace| run_now(env.service.list_credentials(&by(user), workspace, &context));
    assert_eq!(list(VIEWER, here()).unwrap(), [first.clone(), second], "by name");
    assert_eq!(list(OTHER_OWNER, elsewhere()).unwrap(), []);
    assert_eq!(list(VIEWER, None).unwrap(), []);
    assert_eq!(error_of(list(OTHER_OWNER, here())).code(), "not-found");
    let describe = |user, workspace| {
        run_now(env.service.describe_credentials(&by(user), workspace, &first.id, &context))
    };
    assert_eq!(describe(VIEWER, here()).unwrap(), first);
    for (user, workspace, code) in [
        (OTHER_OWNER, elsewhere(), "not-found"),
        (OTHER_OWNER, here(), "not-found"),
        (VIEWER, None, "invalid"),
    ] {
        assert_eq!(error_of(describe(user, workspace)).code(), code);
    }
}

#[test]
fn a_role_outside_the_compute_accounts_is_refused_and_nothing_is_stored() {
    let env = Env::new();
    for (arn, code) in [
        ("arn:aws:iam::444444444444:role/pipeline-secrets-lab", "refused"),
        ("arn:aws-cn:iam::210987654321:role/pipeline-secrets-lab", "refused"),
    ] {
        let draft = CredentialsDraft { role: role(arn), ..credentials_draft("one") };
        assert_eq!(error_of(create(&env, OWNER, here(), &draft)).code(), code);
    }
    let stored = env.credentials("one", ROLE);
    let moved = role("arn:aws:iam::444444444444:role/pipeline-secrets-lab");
    let draft = CredentialsDraft { role: moved, ..credentials_draft("one") };
    assert_eq!(error_of(update(&env, OWNER, &stored.id, &draft)).code(), "refused");
    assert_eq!((env.writes(), env.stored_credentials(&stored.id)), (1, stored));
}

#[test]
fn an_external_id_cannot_be_chosen_or_changed() {
    let env = Env::new();
    let own = Some("0123456789abcdefghijklmnopqrstuv".to_owned());
    let draft = CredentialsDraft { external_id: own.clone(), ..credentials_draft("one") };
    assert_eq!(error_of(create(&env, OWNER, here(), &draft)).code(), "invalid");
    let stored = env.credentials("one", ROLE);
    assert_eq!(error_of(update(&env, OWNER, &stored.id, &draft)).code(), "invalid");
    // Terraform sends the external id that it knows.
    let known = Some(stored.external_id.to_string());
    let draft = CredentialsDraft { external_id: known, ..credentials_draft("renamed") };
    update(&env, OWNER, &stored.id, &draft).unwrap();
    let renamed = env.stored_credentials(&stored.id);
    assert_eq!((renamed.name.as_str(), renamed.external_id), ("renamed", stored.external_id));
}

#[test]
fn an_update_changes_what_it_names_and_is_recorded_once() {
    let env = Env::new();
    let described = CredentialsDraft {
        description: Some(Description::new("of the lab").unwrap()),
        ..credentials_draft("one")
    };
    let id = create(&env, OWNER, here(), &described).unwrap();
    let before = env.stored_credentials(&id);
    update(&env, OWNER, &id, &credentials_draft("one")).unwrap();
    assert_eq!((env.stored_credentials(&id), env.writes()), (before.clone(), 1), "nothing changed");
    let moved = role("arn:aws:iam::333333333333:role/pipeline-secrets-lab");
    let draft = CredentialsDraft { role: moved.clone(), ..credentials_draft("one") };
    update(&env, OWNER, &id, &draft).unwrap();
    let after = StoredCredentials { role: moved, updated: minutes(5), ..before };
    assert_eq!(env.stored_credentials(&id), after);
    assert_eq!(env.fixture.table.actions()[1], AuditAction::CredentialsUpdated);
}

#[test]
fn a_check_of_credentials_is_about_the_external_id_and_in_the_region_of_the_service() {
    let env = Env::new();
    let stored = env.credentials("one", ROLE);
    let check =
        || run_now(env.service.validate_credentials(&by(OWNER), here(), &stored.id, &env.fixture.context()));
    for (verdict, valid) in [
        (Verdict::Proved, true),
        (Verdict::GrantsNothing, true), // the role is of another region
        (Verdict::Refused, false),
        (Verdict::LetsAnyoneIn, false),
    ] {
        *env.roles.verdicts.borrow_mut() = vec![verdict];
        assert_eq!(check().unwrap().is_none(), valid, "{verdict:?}");
    }
    let checked = env.roles.checked.borrow()[0].clone();
    assert_eq!((checked.role, checked.external_id), (stored.role.clone(), stored.external_id.clone()));
    assert_eq!(checked.region.as_str(), "us-east-1");
    assert_eq!(env.writes(), 1, "a check changes nothing");
}

#[test]
fn deleted_credentials_are_gone_and_the_second_deletion_finds_nothing() {
    let env = Env::new();
    let stored = env.credentials("one", ROLE);
    let delete =
        || run_now(env.service.delete_credentials(&by(OWNER), here(), &stored.id, &env.fixture.context()));
    delete().unwrap();
    assert_eq!(error_of(delete()).code(), "not-found");
    assert_eq!(
        env.fixture.table.actions(),
        [AuditAction::CredentialsCreated, AuditAction::CredentialsDeleted]
    );
}
