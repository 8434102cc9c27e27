use domain::audit::AuditAction;
use domain::ids::{OrgId, TokenId};
use domain::owner::SecretOwner;
use domain::ports::{ReadIdentity, ReadMembership, ReadTokens};
use domain::token::TokenKey;
use domain::token_scope::TokenScope;
use futures_util::future::join_all;
use serde_json::json;
use support::Fault;

use super::*;
use crate::testing::{
    Fixed, OWNER, TestStore, VIEWER, a_user, a_workspace, an_audit, later, now, user, workspace,
};

/// Starts with workspace 42 and an owner count of 1.
async fn start() -> TestStore {
    let test = TestStore::start().await;
    test.set(Key::workspace(workspace()), OWNERS, n(1)).await;
    test.table.faults.forget();
    test
}

/// Also with the users of the role changes.
async fn start_with_users() -> TestStore {
    let test = start().await;
    for number in [VIEWER, 9, 10] {
        test.seed(Key::user(user(number)).row(fields(&a_user(number, "someone")).unwrap())).await;
    }
    test
}

async fn change(test: &TestStore, changes: &[Change]) -> Result<()> {
    change_as(test, changes, None).await
}

async fn change_as(
    test: &TestStore,
    changes: &[Change],
    required: Option<&RequiredMembership>,
) -> Result<()> {
    let audit = an_audit(SecretOwner::Workspace(workspace()), AuditAction::ParticipantSet, &[]);
    test.store.change_identity(changes, &[audit], required).await
}

/// Asserts that each set of changes is refused and writes nothing.
async fn all_are_refused(test: &TestStore, code: &str, sets: &[&[Change]]) {
    let before = test.table.rows().await;
    for changes in sets {
        let error = change(test, changes).await.unwrap_err();
        assert_eq!(error.code(), code, "{changes:?}: {error}");
        assert_eq!(test.table.rows().await, before, "{changes:?}");
    }
}

async fn owners(test: &TestStore) -> i64 {
    test.row(Key::workspace(workspace())).await.unwrap().field(OWNERS).unwrap()
}

fn a_login(subject: &str) -> Login {
    Login { issuer: "https://issuer.example".into(), subject: subject.into() }
}

fn a_token(number: i64, of: i64, name: &str) -> StoredToken {
    StoredToken {
        id: TokenId::new(number).unwrap(),
        user: user(of),
        name: name.into(),
        hash: TokenKey::make_random(&Fixed).hash(),
        created: now(),
        last_used: None,
        expires: Some(later(60)),
        workspace: None,
        scope: TokenScope::All,
        created_with: None,
    }
}

fn an_organization(number: i64, name: &str) -> Organization {
    Organization { id: OrgId::new(number).unwrap(), name: name.into() }
}

fn another_workspace(number: i64, name: &str) -> Workspace {
    Workspace { id: WorkspaceId::new(number).unwrap(), name: name.into(), ..a_workspace() }
}

fn role(number: i64, from: Option<Role>, to: Option<Role>) -> Change {
    role_in(workspace(), number, from, to)
}

fn role_in(workspace: WorkspaceId, number: i64, from: Option<Role>, to: Option<Role>) -> Change {
    Change::SetRole { workspace, user: user(number), from, to }
}

#[tokio::test]
async fn a_user_is_found_by_id_name_address_and_login() {
    let test = start().await;
    let (new, login) = (a_user(9, "Olivia"), a_login("o"));
    change(&test, &[Change::CreateUser(new.clone(), Some(login.clone()))]).await.unwrap();
    assert_eq!(test.operations(), ["TransactWriteItems"]);
    assert_eq!(test.store.user(new.id).await.unwrap(), Some(new.clone()));
    assert_eq!(test.store.user_by_name("oliviA").await.unwrap(), Some(new.clone()));
    assert_eq!(test.store.user_by_email("OLIVIA@example.org").await.unwrap(), Some(new));
    let guard = test.row(Key::login(&login)).await.unwrap();
    assert_eq!(guard.field::<UserId>("user").unwrap(), user(9));
}

#[tokio::test]
async fn a_user_whose_id_name_address_or_login_is_taken_is_contended() {
    let test = start().await;
    change(&test, &[Change::CreateUser(a_user(9, "olivia"), Some(a_login("o")))]).await.unwrap();
    let id = Change::CreateUser(a_user(9, "other"), None);
    let name = Change::CreateUser(User { email: "free@example.org".into(), ..a_user(10, "OLIVIA") }, None);
    let address = Change::CreateUser(User { user_name: "free".into(), ..a_user(10, "Olivia") }, None);
    let login = Change::CreateUser(a_user(10, "other"), Some(a_login("o")));
    all_are_refused(&test, "contended", &[&[id], &[name], &[address], &[login]]).await;
    change(&test, &[Change::CreateUser(a_user(10, "other"), Some(a_login("O")))]).await.unwrap();
}

#[tokio::test]
async fn a_token_name_is_unique_per_user() {
    let test = start().await;
    change(&test, &[Change::CreateToken(a_token(5, OWNER, "ci"))]).await.unwrap();
    let name = Change::CreateToken(a_token(6, OWNER, "CI"));
    let id = Change::CreateToken(a_token(5, OWNER, "other"));
    all_are_refused(&test, "contended", &[&[name], &[id]]).await;
    change(&test, &[Change::CreateToken(a_token(6, VIEWER, "ci"))]).await.unwrap();
    let tokens = test.store.tokens(user(OWNER)).await.unwrap();
    assert_eq!(tokens, [a_token(5, OWNER, "ci")]);
}

#[tokio::test]
async fn a_token_is_revoked_once_and_its_name_is_free_again() {
    let test = start().await;
    let token = a_token(5, OWNER, "ci");
    change(&test, &[Change::CreateToken(token.clone())]).await.unwrap();
    change(&test, &[Change::RevokeToken(token.clone())]).await.unwrap();
    assert_eq!(test.store.token(token.id).await.unwrap(), None);
    assert_eq!(test.store.tokens(user(OWNER)).await.unwrap(), []);
    all_are_refused(&test, "contended", &[&[Change::RevokeToken(token)]]).await;
    change(&test, &[Change::CreateToken(a_token(6, OWNER, "ci"))]).await.unwrap();
}

#[tokio::test]
async fn names_of_organizations_and_of_workspaces_within_them_are_unique() {
    let test = start().await;
    let owner = |number| role_in(WorkspaceId::new(number).unwrap(), OWNER, None, Some(Role::Owner));
    let created = [
        Change::CreateOrganization(an_organization(5, "acme")),
        Change::CreateWorkspace(another_workspace(43, "main")),
        owner(43),
    ];
    change(&test, &created).await.unwrap();
    assert_eq!(test.store.organization_by_name("ACME").await.unwrap(), Some(an_organization(5, "acme")));
    let found = test.store.workspace_by_name(OrgId::new(5).unwrap(), "Main").await.unwrap();
    assert_eq!(found, Some(another_workspace(43, "main")));
    let organization = Change::CreateOrganization(an_organization(6, "Acme"));
    let name = [Change::CreateWorkspace(another_workspace(44, "MAIN")), owner(44)];
    let id = [Change::CreateWorkspace(another_workspace(42, "other")), role(9, None, Some(Role::Owner))];
    all_are_refused(&test, "contended", &[&[organization], &name, &id]).await;
    let elsewhere = Workspace { org: OrgId::new(6).unwrap(), ..another_workspace(44, "main") };
    change(&test, &[Change::CreateWorkspace(elsewhere), owner(44)]).await.unwrap();
}

#[tokio::test]
async fn a_workspace_without_an_owner_is_not_created() {
    let test = start_with_users().await;
    let created = Change::CreateWorkspace(another_workspace(43, "main"));
    let viewer = role_in(WorkspaceId::new(43).unwrap(), VIEWER, None, Some(Role::View));
    all_are_refused(&test, "bug", &[std::slice::from_ref(&created), &[created.clone(), viewer]]).await;
    assert!(test.operations().is_empty());
}

#[tokio::test]
async fn a_membership_and_its_mirror_are_written_together() {
    let test = start_with_users().await;
    for (from, to) in
        [(None, Some(Role::Launch)), (Some(Role::Launch), Some(Role::Admin)), (Some(Role::Admin), None)]
    {
        change(&test, &[role(9, from, to)]).await.unwrap();
        assert_eq!(test.store.role(workspace(), user(9)).await.unwrap(), to);
        let memberships = test.store.memberships(user(9)).await.unwrap();
        let workspace = Workspace { grants: 1, ..a_workspace() };
        assert_eq!(memberships, to.map(|role| (workspace, role)).into_iter().collect::<Vec<_>>());
    }
    assert_eq!(owners(&test).await, 1);
}

#[tokio::test]
async fn a_role_that_is_not_the_expected_one_is_contended() {
    let test = start_with_users().await;
    let joins_again = role(VIEWER, None, Some(Role::Admin));
    let was_another = role(VIEWER, Some(Role::Launch), Some(Role::Admin));
    let leaves_as_another = role(VIEWER, Some(Role::Launch), None);
    let not_a_member = role(9, Some(Role::View), Some(Role::Admin));
    all_are_refused(
        &test,
        "contended",
        &[&[joins_again], &[was_another], &[leaves_as_another], &[not_a_member]],
    )
    .await;
    all_are_refused(&test, "bug", &[&[role(9, None, None)]]).await;
}

#[tokio::test]
async fn the_last_owner_can_neither_leave_nor_step_down() {
    let test = start_with_users().await;
    let leaves = role(OWNER, Some(Role::Owner), None);
    let steps_down = role(OWNER, Some(Role::Owner), Some(Role::Admin));
    all_are_refused(&test, "conflict", &[std::slice::from_ref(&leaves), &[steps_down]]).await;
    change(&test, &[role(9, None, Some(Role::Owner))]).await.unwrap();
    assert_eq!(owners(&test).await, 2);
    let both = [leaves.clone(), role(9, Some(Role::Owner), Some(Role::View))];
    all_are_refused(&test, "conflict", &[&both]).await;
    change(&test, &[leaves]).await.unwrap();
    assert_eq!(owners(&test).await, 1);
    let transfers = [role(9, Some(Role::Owner), None), role(VIEWER, Some(Role::View), Some(Role::Owner))];
    change(&test, &transfers).await.unwrap();
    assert_eq!((owners(&test).await, test.store.participants(workspace()).await.unwrap().len()), (1, 1));
}

#[tokio::test]
async fn one_owner_remains_when_all_leave_at_once() {
    let test = start_with_users().await;
    change(&test, &[role(9, None, Some(Role::Owner))]).await.unwrap();
    let (test, leave) = (&test, |number| [role(number, Some(Role::Owner), None)]);
    let left = join_all([OWNER, 9].map(async |number| change(test, &leave(number)).await)).await;
    assert_eq!(left.iter().filter(|left| left.is_ok()).count(), 1, "{left:?}");
    assert_eq!(owners(test).await, 1);
}

#[tokio::test]
async fn platforms_are_replaced_only_if_they_have_not_changed() {
    let test = start().await;
    let changed = Change::SetPlatforms(a_workspace(), vec![Platform::Slurm]);
    change(&test, std::slice::from_ref(&changed)).await.unwrap();
    let (_, stored) = test.store.role_and_workspace(workspace(), user(OWNER)).await.unwrap().unwrap();
    assert_eq!(stored.platforms, [Platform::Slurm]);
    let missing = Change::SetPlatforms(another_workspace(43, "missing"), Vec::new());
    all_are_refused(&test, "contended", &[&[changed], &[missing]]).await;
}

#[tokio::test]
async fn a_lost_required_membership_is_not_found_whatever_else_is_wrong() {
    let test = start_with_users().await;
    let required = RequiredMembership {
        workspace: workspace(),
        user: user(OWNER),
        roles: vec![Role::Owner, Role::Admin],
    };
    let changes = [role(9, None, Some(Role::View))];
    change_as(&test, &changes, Some(&required)).await.unwrap();
    test.join(OWNER, Role::Maintain).await;
    let before = test.table.rows().await;
    for changes in [&changes[..], &[role(10, None, Some(Role::View))]] {
        let error = change_as(&test, changes, Some(&required)).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
    }
    assert_eq!(test.table.rows().await, before);
}

#[tokio::test]
async fn a_caller_who_leaves_is_checked_by_the_condition_on_the_role_change() {
    let test = start_with_users().await;
    let required = RequiredMembership { workspace: workspace(), user: user(VIEWER), roles: vec![Role::View] };
    let leaves = [role(VIEWER, Some(Role::View), None)];
    change_as(&test, &leaves, Some(&required)).await.unwrap();
    let error = change_as(&test, &leaves, Some(&required)).await.unwrap_err();
    assert!(matches!(error, Error::Contended), "{error}");
}

#[tokio::test]
async fn a_lost_answer_is_retried_and_has_one_effect() {
    let test = start_with_users().await;
    test.table.faults.fail_next(Fault::LostReply);
    change(&test, &[role(9, None, Some(Role::Owner))]).await.unwrap();
    assert_eq!((owners(&test).await, test.operations().len(), test.audits().await), (2, 2, 1));
}

#[tokio::test]
async fn a_transaction_conflict_is_contended_whatever_the_conditions_say() {
    let test = start().await;
    let last_owner = json!({ "Code": "ConditionalCheckFailed", "Item": { "ownerCount": { "N": "1" } } });
    for (code, expected) in [("TransactionConflict", "contended"), ("None", "conflict")] {
        let reasons = json!([{ "Code": "None" }, { "Code": code }, last_owner, { "Code": "None" }]);
        let body = json!({ "__type": "TransactionCanceledException", "CancellationReasons": reasons });
        test.table.faults.fail_next(Fault::Answer { status: 400, body });
        let error = change(&test, &[role(OWNER, Some(Role::Owner), None)]).await.unwrap_err();
        assert_eq!(error.code(), expected, "{error}");
    }
}

fn disable(number: i64, disabled: bool, workspaces: &[WorkspaceId]) -> Change {
    Change::SetDisabled {
        user: user(number),
        grants: 0,
        disabled: disabled.then(now),
        workspaces: workspaces.to_vec(),
    }
}

/// The same change after this number of roles.
fn after(grants: u64, change: Change) -> Change {
    match change {
        Change::SetDisabled { user, disabled, workspaces, .. } => {
            Change::SetDisabled { user, grants, disabled, workspaces }
        }
        other => other,
    }
}

#[tokio::test]
async fn a_disabled_user_makes_no_change_and_gets_no_role_and_no_token_until_enabled() {
    let test = start().await;
    change(&test, &[Change::CreateUser(a_user(9, "nina"), None)]).await.unwrap();
    let join = |from, to| Change::SetRole { workspace: workspace(), user: user(9), from, to };
    let token = Change::CreateToken(a_token(5, 9, "cli"));
    change(&test, &[join(None, Some(Role::Admin))]).await.unwrap();
    change(&test, &[after(1, disable(9, true, &[workspace()]))]).await.unwrap();
    assert_eq!(test.store.user(user(9)).await.unwrap().unwrap().disabled, Some(now()));
    assert_eq!(test.store.role(workspace(), user(9)).await.unwrap(), None);
    all_are_refused(&test, "conflict", &[std::slice::from_ref(&token)]).await;
    let required = RequiredMembership { workspace: workspace(), user: user(9), roles: vec![Role::Admin] };
    let viewer =
        |to| Change::SetRole { workspace: workspace(), user: user(VIEWER), from: Some(Role::View), to };
    let error = change_as(&test, &[viewer(None)], Some(&required)).await.unwrap_err();
    assert_eq!(error.code(), "not-found", "the check in the transaction");
    change(&test, &[join(Some(Role::Admin), None)]).await.unwrap();
    all_are_refused(&test, "conflict", &[&[join(None, Some(Role::View))]]).await;
    change(&test, &[after(1, disable(9, false, &[]))]).await.unwrap();
    change(&test, &[token, join(None, Some(Role::View))]).await.unwrap();
    assert_eq!(test.store.role(workspace(), user(9)).await.unwrap(), Some(Role::View));
    let elsewhere = after(2, disable(9, true, &[WorkspaceId::new(43).unwrap()]));
    all_are_refused(&test, "contended", &[&[elsewhere]]).await;
}

/// Otherwise the membership would have no mark, and would grant its permissions to requests that
/// began before.
#[tokio::test]
async fn a_role_that_is_given_while_a_user_is_disabled_stops_the_change() {
    let test = start_with_users().await;
    let disable = |grants| after(grants, disable(9, true, &[]));
    let elsewhere = WorkspaceId::new(43).unwrap();
    test.seed(Key::workspace(elsewhere).attributes()).await;
    all_are_refused(&test, "contended", &[&[disable(1)]]).await;
    let roles = [role(9, None, Some(Role::View)), role_in(elsewhere, 9, None, Some(Role::View))];
    change(&test, &roles).await.unwrap();
    assert_eq!(test.store.user(user(9)).await.unwrap().unwrap().grants, 2);
    all_are_refused(&test, "contended", &[&[disable(0)], &[disable(1)]]).await;
    change(&test, &[role(9, Some(Role::View), Some(Role::Admin))]).await.unwrap();
    change(&test, &[disable(2)]).await.unwrap();
    all_are_refused(&test, "conflict", &[&[role_in(workspace(), 9, None, Some(Role::View))]]).await;
}

#[tokio::test]
async fn a_user_who_does_not_exist_gets_no_role() {
    let test = start().await;
    all_are_refused(&test, "contended", &[&[role(9, None, Some(Role::View))]]).await;
}

/// With the guard of the workspace's name.
async fn start_with_name() -> TestStore {
    let test = start_with_users().await;
    let guard = Key::workspace_name(a_workspace().org, "lab");
    test.seed(guard.with([("id", n(workspace()))])).await;
    test
}

fn delete_workspace(grants: u64, members: &[i64]) -> Change {
    let workspace = Workspace { grants, ..a_workspace() };
    Change::DeleteWorkspace { workspace, members: members.iter().copied().map(user).collect(), at: now() }
}

fn as_owner() -> RequiredMembership {
    RequiredMembership { workspace: workspace(), user: user(OWNER), roles: vec![Role::Owner] }
}

#[tokio::test]
async fn a_deleted_workspace_has_no_participants_and_its_name_is_free_again() {
    let test = start_with_name().await;
    change(&test, &[role(9, None, Some(Role::Admin))]).await.unwrap();
    test.table.faults.forget();
    change_as(&test, &[delete_workspace(1, &[OWNER, VIEWER, 9])], Some(&as_owner())).await.unwrap();
    assert_eq!(test.operations(), ["TransactWriteItems"]);
    for number in [OWNER, VIEWER, 9] {
        assert_eq!(test.store.role(workspace(), user(number)).await.unwrap(), None);
        assert_eq!(test.store.memberships(user(number)).await.unwrap(), []);
    }
    assert_eq!(test.store.workspace_by_name(a_workspace().org, "lab").await.unwrap(), None);
    let row: Workspace = test.row(Key::workspace(workspace())).await.unwrap().read().unwrap();
    assert_eq!(row.deleted, Some(now()));
    assert!(test.row(Key::removed(SecretOwner::Workspace(workspace()))).await.is_some());
    let named = Workspace { name: "lab".into(), ..another_workspace(43, "lab") };
    let owner = role_in(WorkspaceId::new(43).unwrap(), 9, None, Some(Role::Owner));
    change(&test, &[Change::CreateWorkspace(named), owner]).await.unwrap();
}

#[tokio::test]
async fn a_deleted_workspace_gets_no_participant_and_no_change() {
    let test = start_with_name().await;
    change(&test, &[delete_workspace(0, &[OWNER, VIEWER])]).await.unwrap();
    let joins = role(9, None, Some(Role::View));
    let owns = role(9, None, Some(Role::Owner));
    let platforms = Change::SetPlatforms(a_workspace(), vec![Platform::Slurm]);
    let again = delete_workspace(0, &[]);
    all_are_refused(&test, "contended", &[&[joins], &[owns], &[platforms], &[again]]).await;
}

#[tokio::test]
async fn a_role_that_is_given_while_a_workspace_is_deleted_stops_the_deletion() {
    let test = start_with_name().await;
    change(&test, &[role(9, None, Some(Role::View)), role(10, None, Some(Role::View))]).await.unwrap();
    let stale = [delete_workspace(0, &[OWNER, VIEWER]), delete_workspace(1, &[OWNER, VIEWER, 9])];
    all_are_refused(&test, "contended", &[&stale[..1], &stale[1..]]).await;
    change(&test, &[delete_workspace(2, &[OWNER, VIEWER, 9, 10])]).await.unwrap();
}

#[tokio::test]
async fn a_caller_who_is_no_longer_an_enabled_owner_deletes_nothing() {
    for (attribute, value) in [("role", s("admin")), (DISABLED, n(1))] {
        let test = start_with_name().await;
        test.set(Key::member(workspace(), user(OWNER)), attribute, value).await;
        let before = test.table.rows().await;
        let deleted = change_as(&test, &[delete_workspace(0, &[OWNER, VIEWER])], Some(&as_owner())).await;
        assert!(matches!(deleted, Err(Error::NotFound)), "{attribute}: {deleted:?}");
        assert_eq!(test.table.rows().await, before);
    }
}

#[tokio::test]
async fn the_most_participants_of_a_deletion_fit_in_a_transaction() {
    let test = start_with_name().await;
    let members: Vec<_> = (1..=i64::try_from(domain::identity::MOST_MEMBERS).unwrap()).collect();
    change_as(&test, &[delete_workspace(0, &members)], Some(&as_owner())).await.unwrap();
}

#[tokio::test]
async fn a_removed_user_is_found_by_id_only_and_name_address_and_login_are_free_again() {
    let test = start().await;
    let (olivia, login) = (a_user(9, "olivia"), a_login("o"));
    change(&test, &[Change::CreateUser(olivia.clone(), Some(login.clone()))]).await.unwrap();
    let removed = |grants| Change::RemoveUser { user: User { grants, ..olivia.clone() }, at: now() };
    all_are_refused(&test, "contended", &[&[removed(0)]]).await;
    change(&test, &[disable(9, true, &[])]).await.unwrap();
    all_are_refused(&test, "contended", &[&[removed(1)]]).await;
    change(&test, &[removed(0)]).await.unwrap();
    let stored = test.store.user(olivia.id).await.unwrap().unwrap();
    assert_eq!((stored.removed, stored.disabled), (Some(now()), Some(now())));
    assert_eq!(test.store.user_by_name("olivia").await.unwrap(), None);
    assert_eq!(test.store.user_by_email("olivia@example.org").await.unwrap(), None);
    assert!(test.row(Key::removed(SecretOwner::User(user(9)))).await.is_some());
    all_are_refused(&test, "contended", &[&[removed(0)], &[disable(9, false, &[])]]).await;
    change(&test, &[Change::CreateUser(a_user(10, "olivia"), None)]).await.unwrap();
    let adds = |from| Change::AddLogin(user(10), login.clone(), from);
    all_are_refused(&test, "contended", &[&[adds(None)], &[adds(Some(user(8)))]]).await;
    change(&test, &[adds(Some(user(9)))]).await.unwrap();
    let logins = test.store.logins(&login.issuer).await.unwrap();
    assert_eq!(logins, [(login.clone(), user(10))]);
    assert_eq!(test.store.logins("https://other.example").await.unwrap(), []);
}
