use super::super::testing::{Env, OTHER_OWNER, OWNER, ROLE, VIEWER, by, elsewhere, environment_draft, here};
use super::*;
use crate::environment::ListedEnvironment;
use crate::ports::Verdict;
use crate::testing::{NOW, environment, error_of, minutes, run_now, unavailable, workspace_id};

fn create(env: &Env, draft: &EnvironmentDraft) -> Result<EnvironmentId> {
    run_now(env.service.create(&by(OWNER), here(), draft, &env.fixture.context()))
}

fn update(env: &Env, id: &EnvironmentId, update: &EnvironmentUpdate) -> Result<()> {
    run_now(env.service.update(&by(OWNER), here(), id, update, &env.fixture.context_at(minutes(5))))
}

fn plan(env: &Env, verdicts: &[Verdict]) {
    *env.roles.verdicts.borrow_mut() = verdicts.to_vec();
}

#[test]
fn a_proved_environment_is_stored_with_the_role_of_its_credentials() {
    let env = Env::new();
    let stored = env.environment("batch");
    let credentials = env.stored_credentials(&stored.credentials);
    let checked = env.roles.checked.borrow().clone();
    assert_eq!(checked, std::slice::from_ref(&stored.environment), "what is stored is what was proved");
    assert_eq!(stored.environment.role, credentials.role);
    assert_eq!(stored.environment.external_id, credentials.external_id);
    assert_eq!((stored.proved, stored.failure.as_deref()), (NOW, None));
    let record = env.fixture.table.audit().pop().unwrap();
    assert_eq!(record.action, AuditAction::ComputeEnvCreated);
    let detail = format!("compute environment {}, eu-west-1, {ROLE}", stored.environment.id);
    assert_eq!(record.detail, Some(detail));
}

#[test]
fn nothing_unproved_is_stored() {
    let env = Env::new();
    let credentials = env.credentials("one", ROLE);
    let writes = env.writes();
    for verdict in [Verdict::Refused, Verdict::LetsAnyoneIn, Verdict::GrantsNothing] {
        plan(&env, &[verdict]);
        let error = error_of(create(&env, &environment_draft("batch", &credentials.id)));
        assert_eq!(error.code(), "invalid", "{verdict:?}");
        assert!(error.to_string().contains(ROLE), "{error}");
    }
    env.roles.faults.fail("check_target", unavailable());
    let error = error_of(create(&env, &environment_draft("batch", &credentials.id)));
    assert_eq!(error.code(), "unavailable");
    assert_eq!(env.writes(), writes);
}

#[test]
fn a_name_that_is_taken_is_a_conflict_before_any_check() {
    let env = Env::new();
    let stored = env.environment("batch");
    for name in ["batch", "BATCH"] {
        let error = error_of(create(&env, &environment_draft(name, &stored.credentials)));
        assert!(error.code() == "conflict" && error.to_string().contains("already exists"), "{error}");
    }
    assert_eq!(env.roles.checked.borrow().len(), 1);
}

#[test]
fn a_workspace_has_at_most_50_environments() {
    let env = Env::new();
    let credentials = env.credentials("one", ROLE);
    for number in 0..50 {
        create(&env, &environment_draft(&format!("env-{number}"), &credentials.id)).unwrap();
    }
    let checks = env.roles.checked.borrow().len();
    let error = error_of(create(&env, &environment_draft("one-more", &credentials.id)));
    assert_eq!(error.code(), "limit-exceeded");
    assert_eq!(env.roles.checked.borrow().len(), checks);
}

#[test]
fn unknown_credentials_and_those_of_another_workspace_get_the_same_answer() {
    let env = Env::new();
    let foreign = env.credentials("one", ROLE);
    env.fixture.table.rows.borrow_mut().credentials.clear();
    let unknown = error_of(create(&env, &environment_draft("batch", &foreign.id)));
    let mut moved = foreign.clone();
    moved.workspace = elsewhere().unwrap();
    let key = (moved.workspace, moved.id.clone());
    env.fixture.table.rows.borrow_mut().credentials.insert(key, moved);
    let error = error_of(create(&env, &environment_draft("batch", &foreign.id)));
    assert_eq!((unknown.code(), unknown.to_string()), ("refused", error.to_string()));
}

#[test]
fn credentials_whose_account_is_no_longer_allowed_cannot_be_used() {
    let mut env = Env::new();
    let stored = env.environment("batch");
    env.service.accounts.accounts.clear();
    assert_eq!(error_of(create(&env, &environment_draft("two", &stored.credentials))).code(), "refused");
    let context = env.fixture.context();
    let checked = run_now(env.service.validate(&by(OWNER), here(), &stored.environment.id, &context));
    assert_eq!(error_of(checked).code(), "refused");
    assert_eq!(env.roles.checked.borrow().len(), 1);
}

#[test]
fn others_learn_nothing_of_an_environment() {
    let env = Env::new();
    let stored = env.environment("batch");
    let id = &stored.environment.id;
    let context = env.fixture.context();
    let writes = env.writes();
    for (user, workspace, reads, changes) in [
        (VIEWER, here(), "ok", "forbidden"),
        (OTHER_OWNER, here(), "not-found", "not-found"),
        (OTHER_OWNER, elsewhere(), "not-found", "not-found"),
        (OWNER, None, "invalid", "invalid"),
    ] {
        let code = |outcome: Result<()>| outcome.map_or_else(|error| error.code(), |()| "ok");
        let who = by(user);
        let described = run_now(env.service.describe(&who, workspace, id, &context)).map(|_| ());
        assert_eq!(code(described), reads, "{user} in {workspace:?}");
        let renamed = EnvironmentUpdate { name: Some("stolen".into()), ..EnvironmentUpdate::default() };
        let updated = run_now(env.service.update(&who, workspace, id, &renamed, &context));
        let checked = run_now(env.service.validate(&who, workspace, id, &context)).map(|_| ());
        let deleted = run_now(env.service.delete(&who, workspace, id, &context));
        assert_eq!([updated, checked, deleted].map(code), [changes; 3], "{user} in {workspace:?}");
    }
    let list = |user, workspace| run_now(env.service.list(&by(user), workspace, &context));
    assert_eq!(list(VIEWER, here()).unwrap(), [stored]);
    assert_eq!(list(OTHER_OWNER, elsewhere()).unwrap(), []);
    assert_eq!(list(OWNER, None).unwrap(), []);
    assert_eq!(error_of(list(OTHER_OWNER, here())).code(), "not-found");
    assert_eq!(env.writes(), writes);
}

#[test]
fn other_credentials_are_proved_and_of_the_same_account() {
    let env = Env::new();
    let stored = env.environment("batch");
    let id = &stored.environment.id;
    let with = |credentials: &CredentialsId| EnvironmentUpdate {
        credentials: Some(credentials.clone()),
        ..EnvironmentUpdate::default()
    };
    let other = env.credentials("other", "arn:aws:iam::333333333333:role/pipeline-secrets-lab");
    assert_eq!(error_of(update(&env, id, &with(&other.id))).code(), "invalid");
    let same = env.credentials("same", "arn:aws:iam::210987654321:role/pipeline-secrets-two");
    plan(&env, &[Verdict::LetsAnyoneIn]);
    assert_eq!(error_of(update(&env, id, &with(&same.id))).code(), "invalid");
    assert_eq!(env.stored(id), Some(stored.clone()), "nothing unproved is stored");
    plan(&env, &[Verdict::Proved]);
    update(&env, id, &with(&same.id)).unwrap();
    let changed = env.stored(id).unwrap();
    assert_eq!((&changed.environment.role, &changed.credentials), (&same.role, &same.id));
    assert_eq!(changed.environment.external_id, same.external_id);
    assert_eq!((changed.proved, changed.environment.region), (minutes(5), stored.environment.region));
}

#[test]
fn an_update_of_the_name_alone_needs_no_check() {
    let env = Env::new();
    let stored = env.environment("batch");
    let id = &stored.environment.id;
    let renamed = EnvironmentUpdate { name: Some("renamed".into()), ..EnvironmentUpdate::default() };
    update(&env, id, &renamed).unwrap();
    let expected = StoredEnvironment { name: "renamed".into(), updated: minutes(5), ..stored.clone() };
    assert_eq!(env.stored(id), Some(expected));
    let writes = env.writes();
    update(&env, id, &renamed).unwrap();
    assert_eq!((env.writes(), env.roles.checked.borrow().len()), (writes, 1), "a repeat changes nothing");
}

#[test]
fn a_check_records_what_it_finds_and_a_later_one_clears_it() {
    let env = Env::new();
    let stored = env.environment("batch");
    let id = &stored.environment.id;
    let check =
        |at| run_now(env.service.validate(&by(OWNER), here(), id, &env.fixture.context_at(at))).unwrap();
    plan(&env, &[Verdict::Refused]);
    let failure = check(minutes(5));
    assert!(failure.as_ref().is_some_and(|text| text.contains("cannot be assumed")));
    let invalid = env.stored(id).unwrap();
    assert_eq!((&invalid.failure, invalid.proved), (&failure, NOW));
    plan(&env, &[Verdict::Proved]);
    assert_eq!(check(minutes(6)), None);
    let valid = env.stored(id).unwrap();
    assert_eq!((valid.failure, valid.proved), (None, minutes(6)));
    assert_eq!(env.fixture.table.actions()[2..], [AuditAction::ComputeEnvChecked; 2]);
    let details = env.fixture.table.audit().into_iter().filter_map(|record| record.detail);
    let details: Vec<_> = details.skip(2).collect();
    assert!(details[0].ends_with(", not usable") && details[1].ends_with(", usable"), "{details:?}");
    env.roles.faults.fail("check_target", unavailable());
    let context = env.fixture.context();
    assert_eq!(
        error_of(run_now(env.service.validate(&by(OWNER), here(), id, &context))).code(),
        "unavailable"
    );
    assert_eq!(env.stored(id).unwrap().proved, minutes(6), "an outage says nothing about the role");
}

#[test]
fn a_deleted_environment_stays_in_the_list_until_its_last_run_is_over() {
    let env = Env::new();
    let stored = env.environment("batch");
    let id = &stored.environment.id;
    run_now(env.service.delete(&by(OWNER), here(), id, &env.fixture.context())).unwrap();
    assert_eq!(env.stored(id), None);
    let until = NOW + SignedDuration::from_hours(38 * 24);
    let listed_until = env.fixture.table.rows.borrow().listed_until[id];
    assert_eq!(listed_until, until, "30 days of the longest run, 7 of its head job, and one");
    let again = run_now(env.service.delete(&by(OWNER), here(), id, &env.fixture.context()));
    assert_eq!(error_of(again).code(), "not-found");
}

#[test]
fn a_key_of_the_copies_is_of_the_account_and_region_and_stored_as_its_arn() {
    const KEY: &str = "arn:aws:kms:eu-west-1:210987654321:key/1111-2222";
    let env = Env::new();
    let credentials = env.credentials("one", ROLE);
    for (number, (key, valid)) in [
        ("1111-2222", true),
        (KEY, true),
        ("alias/copies", false),
        ("arn:aws:kms:eu-west-1:210987654321:alias/copies", false),
        ("arn:aws:kms:us-east-1:210987654321:key/1111-2222", false),
        ("arn:aws:kms:eu-west-1:333333333333:key/1111-2222", false),
        ("arn:aws:kms:eu-west-1:210987654321:secret/1111-2222", false),
        ("arn:aws:kms:eu-west-1:210987654321:key/*", false),
        ("arn:aws:kms:eu-west-1:210987654321:key/", false),
        ("two words", false),
        (&*"1".repeat(65), false),
        ("", false),
    ]
    .into_iter()
    .enumerate()
    {
        let draft = EnvironmentDraft {
            copy_key: Some(key.into()),
            ..environment_draft(&format!("env-{number}"), &credentials.id)
        };
        let created = create(&env, &draft);
        assert_eq!(created.is_ok(), valid, "{key}");
        if let Ok(id) = created {
            assert_eq!(env.stored(&id).unwrap().environment.copy_key.as_deref(), Some(KEY), "{key}");
        }
    }
}

#[test]
fn a_workspace_has_a_limit_of_environments_with_those_that_were_deleted_in_the_last_weeks() {
    let env = Env::new();
    let credentials = env.credentials("one", ROLE);
    let list = |workspace, count| {
        let mut rows = env.fixture.table.rows.borrow_mut();
        let entry = ListedEnvironment { environment: environment(), workspace, kept_until: Some(1) };
        rows.listed_environments = vec![entry; count];
    };
    for (workspace, count, expected) in [
        (WorkspaceId::new(43).unwrap(), 200, "ok"),
        (workspace_id(), 199, "ok"),
        (workspace_id(), 200, "limit-exceeded"),
    ] {
        list(workspace, count);
        let draft = environment_draft(&format!("env-{workspace}-{count}"), &credentials.id);
        let code = create(&env, &draft).map_or_else(|error| error.code(), |_| "ok");
        assert_eq!(code, expected, "{workspace}, {count}");
    }
}
