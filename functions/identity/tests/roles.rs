//! Permissions: every role with every operation of the function, and the rules about owners.

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

/// Returns a request that succeeds for every caller with permission. Its target is neither an owner
/// nor the caller. Add new operations of the table here.
fn request(operation: Operation, ids: &Ids, caller: &str) -> TestRequest {
    let in_workspace = ids.request(caller);
    let target = ids.user(if caller == "view" { "connect" } else { "view" });
    match operation {
        Operation::DescribeService
        | Operation::DescribeUser
        | Operation::ListTokens
        | Operation::DeleteToken
        | Operation::ListOrganizations => TestRequest::by(ids.user(caller)),
        Operation::ListUserWorkspaces => TestRequest::by(ids.user(caller)).path("userId", ids.user(caller)),
        Operation::CreateToken => TestRequest::by(ids.user(caller)).body(json!({ "name": "new" })),
        Operation::DescribeOrganization
        | Operation::ListOrganizationMembers
        | Operation::ListWorkspaces
        | Operation::DescribeWorkspace
        | Operation::DeleteWorkspace
        | Operation::ListParticipants
        | Operation::LeaveWorkspace => in_workspace,
        Operation::UpdateWorkspacePlatforms => in_workspace.body(json!({ "platforms": ["lsf"] })),
        Operation::AddParticipant => in_workspace.body(json!({ "memberId": ids.user("guest") })),
        Operation::UpdateParticipantRole => {
            in_workspace.path("participantId", target).body(json!({ "role": "launch" }))
        }
        Operation::DeleteParticipant => in_workspace.path("participantId", target),
        other => panic!("{} is not an operation of this function, or has no case here", other.id()),
    }
}

/// Returns the roles with permission for the operation, or `None` if it shows only the caller's
/// data.
fn roles(operation: Operation) -> Option<Vec<Role>> {
    let settings = Settings::new("test");
    match (operation, operation.needs()) {
        // Every participant can call it to leave. Only administrators can remove other
        // participants.
        (Operation::DeleteParticipant, _) => Some(Permission::AdministerWorkspace.roles(&settings)),
        // Only participants of an organization's workspaces can see it.
        (
            Operation::DescribeOrganization | Operation::ListOrganizationMembers | Operation::ListWorkspaces,
            _,
        ) => Some(Role::ALL.to_vec()),
        (_, Needs::OfPath(permission)) => Some(permission.roles(&settings)),
        (_, Needs::Own) => None,
        (_, Needs::InWorkspace(_)) => panic!("{} is not an operation of this function", operation.id()),
    }
}

/// The operations of this function, except those on compute environments (`environments.rs`).
fn operations() -> impl Iterator<Item = &'static Operation> {
    let of_function = Operation::ALL.iter().filter(|it| it.function() == Function::Identity);
    of_function.filter(|it| !matches!(it.needs(), Needs::InWorkspace(_)))
}

async fn harness() -> (Harness, Ids) {
    let (harness, mut ids) = Harness::with_declaration().await;
    let guest =
        harness.apply(&json!({ "users": [{ "userName": "guest", "email": "guest@example.org" }] })).await;
    ids.users.insert("guest".into(), guest["users"][0]["id"].as_i64().unwrap());
    (harness, ids)
}

#[tokio::test]
async fn every_role_has_exactly_the_permissions_of_the_table() {
    let mut cases = 0;
    for operation in operations() {
        for caller in Role::ALL.map(Some).into_iter().chain([None]) {
            let (harness, ids) = harness().await;
            let name = caller.map_or("outsider", Role::as_str);
            let mut request = request(*operation, &ids, name);
            if *operation == Operation::DeleteToken {
                let list = harness.ask(Operation::ListTokens, TestRequest::by(request.user)).await;
                request = request.path("tokenId", list.body["tokens"][0]["id"].as_i64().unwrap());
            }
            if *operation == Operation::LeaveWorkspace {
                // The last owner cannot leave.
                let second =
                    ids.request("owner").body(json!({ "memberId": ids.user("guest"), "role": "owner" }));
                assert_eq!(harness.ask(Operation::AddParticipant, second).await.status, 200);
            }
            let before = harness.rows().await;
            let answer = harness.ask(*operation, request).await;
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
    assert!(cases >= 17 * 7, "{cases}");
}

#[tokio::test]
async fn another_workspace_and_an_unknown_workspace_return_the_same_404_after_the_same_calls() {
    let (harness, ids) = harness().await;
    for operation in operations() {
        let Needs::OfPath(_) = operation.needs() else {
            continue;
        };
        let without_access = request(*operation, &ids, "outsider");
        let mut answers = Vec::new();
        for (org, workspace, caller) in [
            (ids.org, ids.workspace, "outsider"),
            (ids.org, 1, "outsider"),
            (1, ids.workspace, "outsider"),
            (1, ids.workspace, "owner"), // a participant, with another organization in the path
        ] {
            let mut request = without_access.clone();
            request.user = ids.user(caller);
            request.path.retain(|(name, _)| !matches!(*name, "orgId" | "workspaceId"));
            harness.table.faults.forget();
            let answer =
                harness.ask(*operation, request.path("orgId", org).path("workspaceId", workspace)).await;
            assert_eq!(answer.status, 404, "{}", operation.id());
            answers.push((answer, harness.table.faults.operations()));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    }
    for operation in
        [Operation::DescribeOrganization, Operation::ListOrganizationMembers, Operation::ListWorkspaces]
    {
        let mut answers = Vec::new();
        for org in [1, ids.org] {
            harness.table.faults.forget();
            let request = TestRequest::by(ids.user("outsider")).path("orgId", org);
            let answer = harness.ask(operation, request).await;
            assert_eq!(answer.status, 404, "{}", operation.id());
            answers.push((answer, harness.table.faults.operations()));
        }
        assert_eq!(answers[0], answers[1], "{}", operation.id());
    }
}

#[tokio::test]
async fn the_last_owner_can_neither_leave_nor_change_role() {
    let (harness, ids) = harness().await;
    let owner = ids.user("owner");
    let before = harness.rows().await;
    let own = || ids.request("owner").path("participantId", owner);
    for (operation, request) in [
        (Operation::DeleteParticipant, own()),
        (Operation::LeaveWorkspace, ids.request("owner")),
        (Operation::UpdateParticipantRole, own().body(json!({ "role": "admin" }))),
    ] {
        let answer = harness.ask(operation, request).await;
        assert_eq!(answer.status, 409, "{}", operation.id());
        assert!(answer.body["message"].as_str().unwrap().contains("at least one owner"));
    }
    assert_eq!(harness.rows().await, before);
}

#[tokio::test]
async fn every_participant_except_the_last_owner_can_leave() {
    for operation in [Operation::DeleteParticipant, Operation::LeaveWorkspace] {
        let (harness, ids) = harness().await;
        for (index, role) in Role::ALL.iter().filter(|role| **role != Role::Owner).enumerate() {
            let leave = ids.request(role.as_str()).path("participantId", ids.user(role.as_str()));
            assert_eq!(harness.ask(operation, leave.clone()).await.status, 204, "{role:?}");
            assert_eq!(harness.roles(ids.workspace).await.len(), 5 - index, "only the caller left");
            assert_eq!(
                harness.ask(operation, leave).await.status,
                404,
                "a user who left is no longer a participant"
            );
        }
        harness.check().await;
        let audited = harness.audited().await;
        assert_eq!(audited.iter().filter(|it| *it == "participant.removed").count(), 5);
    }
}

/// Two owners concurrently remove or demote each other, or both leave: one owner remains in every
/// order.
#[tokio::test]
async fn concurrent_changes_by_two_owners_leave_one_owner() {
    for round in 0..12 {
        let (harness, ids) = harness().await;
        let promote =
            ids.request("owner").path("participantId", ids.user("admin")).body(json!({ "role": "owner" }));
        harness.ask(Operation::UpdateParticipantRole, promote).await;
        let act = async |caller: &str, on: &str| {
            let request = ids.request(caller).path("participantId", ids.user(on));
            match round % 3 {
                0 => harness.ask(Operation::DeleteParticipant, request).await,
                1 => {
                    harness
                        .ask(Operation::UpdateParticipantRole, request.body(json!({ "role": "view" })))
                        .await
                }
                _ => {
                    let own = ids.request(caller).path("participantId", ids.user(caller));
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
async fn concurrent_requests_add_a_participant_once() {
    let (harness, ids) = harness().await;
    let add = || {
        harness
            .ask(Operation::AddParticipant, ids.request("admin").body(json!({ "userNameOrEmail": "guest" })))
    };
    let answers = join_all((0..10).map(|_| add())).await;
    assert_eq!(answers.iter().filter(|it| it.status == 200).count(), 1);
    assert!(answers.iter().all(|it| matches!(it.status, 200 | 409)), "{answers:?}");
    harness.check().await;
}

/// The caller loses the required role between the check and the write: neither the change nor its
/// audit record is written.
#[tokio::test]
async fn a_write_fails_if_the_caller_has_lost_the_required_role() {
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
    for missing in [
        required("view", &[Role::Owner, Role::Admin]),
        required("outsider", &[Role::Owner, Role::Admin]),
        required("admin", &[Role::Owner]),
    ] {
        let outcome =
            harness.handler.store.change_identity(std::slice::from_ref(&join), &[], Some(&missing)).await;
        assert!(matches!(outcome, Err(Error::NotFound)), "{outcome:?}");
    }
    assert_eq!(harness.rows().await, before);
    let present = required("admin", &[Role::Owner, Role::Admin]);
    harness.handler.store.change_identity(&[join], &[], Some(&present)).await.unwrap();
}

/// A change that is based on an outdated role has no effect and returns an error that asks for a
/// retry.
#[tokio::test]
async fn a_change_of_an_outdated_role_is_contended() {
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
