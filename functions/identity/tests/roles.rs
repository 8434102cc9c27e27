//! Who may do what: every role times every operation of the function, and the rules about owners.

use crate::harness::{Harness, Ids, TestRequest};
use domain::Error;
use domain::identity::{Change, RequiredMembership};
use domain::ids::{UserId, WorkspaceId};
use domain::role::{Permission, Role};
use domain::settings::Settings;
use futures_util::future::{join, join_all};
use http_api::Operation;
use http_api::operation::{Function, Needs};
use serde_json::json;

/// A request for the operation that succeeds for whoever may: on somebody who is neither owner nor the caller. An
/// operation that is new to the table has to be added here.
fn asked(operation: Operation, ids: &Ids, caller: &str) -> TestRequest {
    let in_workspace = ids.asked(caller);
    let somebody = ids.user(if caller == "view" { "connect" } else { "view" });
    match operation {
        Operation::DescribeService
        | Operation::DescribeUser
        | Operation::ListTokens
        | Operation::DeleteToken
        | Operation::ListOrganizations => TestRequest::by(ids.user(caller)),
        Operation::ListUserWorkspaces => TestRequest::by(ids.user(caller)).path("userId", ids.user(caller)),
        Operation::CreateToken => TestRequest::by(ids.user(caller)).body(json!({ "name": "new" })),
        Operation::ListWorkspaces | Operation::DescribeWorkspace | Operation::ListParticipants => {
            in_workspace
        }
        Operation::UpdateWorkspacePlatforms => in_workspace.body(json!({ "platforms": ["lsf"] })),
        Operation::AddParticipant => in_workspace.body(json!({ "memberId": ids.user("guest") })),
        Operation::UpdateParticipantRole => {
            in_workspace.path("participantId", somebody).body(json!({ "role": "launch" }))
        }
        Operation::DeleteParticipant => in_workspace.path("participantId", somebody),
        other => panic!("{} is no operation of this function, or has no case here", other.id()),
    }
}

/// The roles that the operation takes; `None` where it takes none, because it shows only what is the caller's own.
fn roles(operation: Operation) -> Option<Vec<Role>> {
    let settings = Settings::new("test");
    match (operation, operation.needs()) {
        // The table says that every member may call it, to leave; removing somebody else is for those who administer.
        (Operation::DeleteParticipant, _) => Some(Permission::AdministerWorkspace.roles(&settings)),
        // Of an organization only the members of its workspaces know.
        (Operation::ListWorkspaces, _) => Some(Role::ALL.to_vec()),
        (_, Needs::OfPath(permission)) => Some(permission.roles(&settings)),
        (_, Needs::Own) => None,
        (_, Needs::InWorkspace(_)) => panic!("{} is not of this function", operation.id()),
    }
}

async fn harness() -> (Harness, Ids) {
    let (harness, mut ids) = Harness::with_story().await;
    let guest =
        harness.apply(&json!({ "users": [{ "userName": "guest", "email": "guest@example.org" }] })).await;
    ids.users.insert("guest".into(), guest["users"][0]["id"].as_i64().unwrap());
    (harness, ids)
}

#[tokio::test]
async fn every_role_may_do_what_the_table_says_and_no_more() {
    let mut cases = 0;
    for operation in Operation::ALL.iter().filter(|it| it.function() == Function::Identity) {
        for caller in Role::ALL.map(Some).into_iter().chain([None]) {
            let (harness, ids) = harness().await;
            let name = caller.map_or("stranger", Role::as_str);
            let mut asked = asked(*operation, &ids, name);
            if *operation == Operation::DeleteToken {
                let list = harness.ask(Operation::ListTokens, TestRequest::by(asked.user)).await;
                asked = asked.path("tokenId", list.body["tokens"][0]["id"].as_i64().unwrap());
            }
            let before = harness.rows().await;
            let answer = harness.ask(*operation, asked).await;
            let what = format!("{} as {name}: {answer:?}", operation.id());
            let expected = match (roles(*operation), caller) {
                (None, _) => 2,
                (Some(_), None) => 404,
                (Some(roles), Some(role)) if roles.contains(&role) => 2,
                (Some(_), Some(_)) => 403,
            };
            let status = if answer.status / 100 == 2 { 2 } else { answer.status };
            assert_eq!(status, expected, "{what}");
            if answer.status / 100 != 2 {
                assert_eq!(harness.rows().await, before, "{what}");
            }
            cases += 1;
        }
    }
    assert!(cases >= 14 * 7, "{cases}");
}

#[tokio::test]
async fn a_foreign_workspace_and_one_that_does_not_exist_are_one_404_with_the_same_calls() {
    let (harness, ids) = harness().await;
    for operation in Operation::ALL.iter().filter(|it| it.function() == Function::Identity) {
        let Needs::OfPath(_) = operation.needs() else {
            continue;
        };
        let foreign = asked(*operation, &ids, "stranger");
        let mut answers = Vec::new();
        for (org, workspace, caller) in [
            (ids.org, ids.workspace, "stranger"),
            (ids.org, 1, "stranger"),
            (1, ids.workspace, "stranger"),
            (1, ids.workspace, "owner"), // a member by another organization's path
        ] {
            let mut asked = foreign.clone();
            asked.user = ids.user(caller);
            asked.path.retain(|(name, _)| !matches!(*name, "orgId" | "workspaceId"));
            harness.table.faults.forget();
            let answer =
                harness.ask(*operation, asked.path("orgId", org).path("workspaceId", workspace)).await;
            assert_eq!(answer.status, 404, "{}", operation.id());
            answers.push((answer, harness.table.faults.operations()));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    }
    let of_nobody =
        harness.ask(Operation::ListWorkspaces, TestRequest::by(ids.user("stranger")).path("orgId", 1)).await;
    let foreign = harness
        .ask(Operation::ListWorkspaces, TestRequest::by(ids.user("stranger")).path("orgId", ids.org))
        .await;
    assert_eq!(of_nobody, foreign);
}

#[tokio::test]
async fn the_last_owner_neither_leaves_nor_steps_down() {
    let (harness, ids) = harness().await;
    let owner = ids.user("owner");
    let before = harness.rows().await;
    let own = || ids.asked("owner").path("participantId", owner);
    for (operation, asked) in [
        (Operation::DeleteParticipant, own()),
        (Operation::UpdateParticipantRole, own().body(json!({ "role": "admin" }))),
    ] {
        let answer = harness.ask(operation, asked).await;
        assert_eq!(answer.status, 409, "{}", operation.id());
        assert!(answer.body["message"].as_str().unwrap().contains("one owner or more"));
    }
    assert_eq!(harness.rows().await, before);
}

#[tokio::test]
async fn every_member_but_the_last_owner_may_leave() {
    let (harness, ids) = harness().await;
    for role in Role::ALL.iter().filter(|role| **role != Role::Owner) {
        let leave = ids.asked(role.as_str()).path("participantId", ids.user(role.as_str()));
        assert_eq!(harness.ask(Operation::DeleteParticipant, leave.clone()).await.status, 204, "{role:?}");
        assert_eq!(
            harness.ask(Operation::DeleteParticipant, leave).await.status,
            404,
            "who left is a stranger"
        );
    }
    harness.check().await;
}

/// Two owners, each taking the other's place away at once, or both their own: one stays in every order.
#[tokio::test]
async fn races_of_owners_leave_one() {
    for round in 0..12 {
        let (harness, ids) = harness().await;
        let promote =
            ids.asked("owner").path("participantId", ids.user("admin")).body(json!({ "role": "owner" }));
        harness.ask(Operation::UpdateParticipantRole, promote).await;
        let act = async |caller: &str, on: &str| {
            let asked = ids.asked(caller).path("participantId", ids.user(on));
            match round % 3 {
                0 => harness.ask(Operation::DeleteParticipant, asked).await,
                1 => {
                    harness.ask(Operation::UpdateParticipantRole, asked.body(json!({ "role": "view" }))).await
                }
                _ => {
                    let own = ids.asked(caller).path("participantId", ids.user(caller));
                    harness.ask(Operation::DeleteParticipant, own).await
                }
            }
        };
        let (one, other) = Box::pin(join(act("owner", "admin"), act("admin", "owner"))).await;
        let done = [one.status, other.status].iter().filter(|status| **status == 204).count();
        assert_eq!(done, 1, "{one:?} {other:?}");
        let roles = harness.roles(ids.workspace).await;
        assert_eq!(roles.values().filter(|role| *role == "owner").count(), 1);
        harness.check().await;
    }
}

#[tokio::test]
async fn many_at_once_add_one_person_once() {
    let (harness, ids) = harness().await;
    let add = || {
        harness.ask(Operation::AddParticipant, ids.asked("admin").body(json!({ "userNameOrEmail": "guest" })))
    };
    let answers = join_all((0..10).map(|_| add())).await;
    assert_eq!(answers.iter().filter(|it| it.status == 200).count(), 1);
    assert!(answers.iter().all(|it| matches!(it.status, 200 | 409)), "{answers:?}");
    harness.check().await;
}

/// The caller's role is taken away between the check and the write: the write does not happen, and nor does its audit
/// record.
#[tokio::test]
async fn a_standing_that_is_gone_meanwhile_stops_the_write() {
    let (harness, ids) = harness().await;
    let (workspace, guest) =
        (WorkspaceId::new(ids.workspace).unwrap(), UserId::new(ids.user("guest")).unwrap());
    let join = Change::SetRole { workspace, user: guest, from: None, to: Some(Role::View) };
    let required = |user: &str, roles: &[Role]| RequiredMembership {
        workspace,
        user: UserId::new(ids.user(user)).unwrap(),
        roles: roles.to_vec(),
    };
    let before = harness.rows().await;
    for gone in [
        required("view", &[Role::Owner, Role::Admin]),
        required("stranger", &[Role::Owner, Role::Admin]),
        required("admin", &[Role::Owner]),
    ] {
        let outcome =
            harness.handler.store.change_identity(std::slice::from_ref(&join), &[], Some(&gone)).await;
        assert!(matches!(outcome, Err(Error::NotFound)), "{outcome:?}");
    }
    assert_eq!(harness.rows().await, before);
    let holds = required("admin", &[Role::Owner, Role::Admin]);
    harness.handler.store.change_identity(&[join], &[], Some(&holds)).await.unwrap();
}

/// A change that was decided on what is no longer so does not take effect, and says that it has to be decided anew.
#[tokio::test]
async fn a_change_of_what_has_changed_meanwhile_is_contended() {
    let (harness, ids) = harness().await;
    let (workspace, user) =
        (WorkspaceId::new(ids.workspace).unwrap(), UserId::new(ids.user("view")).unwrap());
    let before = harness.rows().await;
    for (from, to) in [
        (None, Some(Role::Launch)),
        (Some(Role::Launch), Some(Role::Admin)),
        (Some(Role::Launch), None),
        (Some(Role::Owner), Some(Role::View)),
    ] {
        let stale = Change::SetRole { workspace, user, from, to };
        let outcome = harness.handler.store.change_identity(&[stale], &[], None).await;
        assert!(matches!(outcome, Err(Error::Contended)), "{from:?} {to:?} {outcome:?}");
    }
    assert_eq!(harness.rows().await, before);
}
