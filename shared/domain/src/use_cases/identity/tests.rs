use super::testing::{org_id, token_id};
use super::*;
use crate::identity::Login;
use crate::ids::WorkspaceId;
use crate::role::Role;
use crate::testing::{
    Fixture, NOW, Sequence, logged_json, organization, stored_token, user, user_id, workspace, workspace_id,
};
use crate::token::TokenKey;

fn token() -> crate::identity::StoredToken {
    stored_token(12, 7, "laptop", &TokenKey::make_random(&Sequence::default()))
}

fn role(from: Option<Role>, to: Option<Role>) -> Change {
    Change::SetRole { workspace: workspace_id(), user: user_id(9), from, to }
}

#[test]
fn each_change_is_recorded_in_the_trail_of_the_user_or_workspace_it_concerns() {
    let of_user = SecretOwner::User(user_id(7));
    let of_workspace = SecretOwner::Workspace(workspace_id());
    let login = Login { issuer: "https://issuer".into(), subject: "me".into() };
    let platforms = |list: &[Platform]| Change::SetPlatforms(workspace(), list.to_vec());
    let cases = [
        (Change::CreateUser(user(7, "sam"), None), of_user, AuditAction::UserCreated, Some(7), None),
        (
            Change::CreateUser(user(7, "sam"), Some(login.clone())),
            of_user,
            AuditAction::UserCreated,
            Some(7),
            None,
        ),
        (
            Change::AddLogin(user_id(7), login, None),
            of_user,
            AuditAction::UserLoginAdded,
            Some(7),
            Some("login of https://issuer"),
        ),
        (
            Change::RemoveUser { user: user(7, "sam"), at: NOW },
            of_user,
            AuditAction::UserRemoved,
            Some(7),
            None,
        ),
        (Change::CreateToken(token()), of_user, AuditAction::TokenCreated, Some(7), Some("token 12")),
        (Change::RevokeToken(token()), of_user, AuditAction::TokenRevoked, Some(7), Some("token 12")),
        (
            Change::CreateWorkspace(workspace()),
            of_workspace,
            AuditAction::WorkspaceCreated,
            None,
            Some("organization 4"),
        ),
        (
            platforms(&[Platform::Lsf, Platform::AwsBatch]),
            of_workspace,
            AuditAction::WorkspacePlatformsChanged,
            None,
            Some("lsf, aws-batch"),
        ),
        (platforms(&[]), of_workspace, AuditAction::WorkspacePlatformsChanged, None, Some("none")),
        (
            role(None, Some(Role::Connect)),
            of_workspace,
            AuditAction::ParticipantSet,
            Some(9),
            Some("connect"),
        ),
        (
            role(Some(Role::View), Some(Role::Owner)),
            of_workspace,
            AuditAction::ParticipantSet,
            Some(9),
            Some("owner"),
        ),
        (role(Some(Role::View), None), of_workspace, AuditAction::ParticipantRemoved, Some(9), None),
    ];
    for (change, scope, action, person, detail) in cases {
        for actor in [None, Some(user_id(3))] {
            let fixture = Fixture::new();
            let made = record_of(&change, actor, &fixture.context()).unwrap();
            let expected = AuditRecord {
                scope,
                at: NOW,
                id: made.id.clone(),
                actor,
                action,
                subjects: Vec::new(),
                run: None,
                person: person.map(user_id),
                detail: detail.map(str::to_owned),
            };
            assert_eq!(made, expected, "{change:?}");
            assert!(made.id.parse::<i64>().is_ok_and(|id| id > 0), "{change:?}: {}", made.id);
            let next = record_of(&change, actor, &fixture.context()).unwrap();
            assert_ne!(made.id, next.id, "records of one instant have different ids");
        }
    }
}

#[test]
fn a_new_organization_has_no_audit_record() {
    let change = Change::CreateOrganization(organization());
    assert_eq!(record_of(&change, None, &Fixture::new().context()), None);
}

#[test]
fn audit_records_of_tokens_roles_and_platforms_can_be_reconciled_from() {
    use super::trail::Trail;
    let line = |change: Change| {
        let record = record_of(&change, None, &Fixture::new().context()).unwrap();
        let ((), lines) = logged_json(|| record.log());
        serde_json::Value::String(lines[0].to_string())
    };
    let (other, org) = (WorkspaceId::new(43).unwrap(), org_id(4));
    let none = Change::SetPlatforms(crate::identity::Workspace { id: other, org, ..workspace() }, vec![]);
    let two = Change::SetPlatforms(workspace(), vec![Platform::AwsBatch, Platform::Slurm]);
    let trail = Trail::parse(&[
        line(Change::RevokeToken(token())),
        line(role(Some(Role::Owner), Some(Role::Maintain))),
        line(two),
        line(none),
    ])
    .unwrap();
    assert_eq!(trail.revoked, [token_id(12)].into());
    assert_eq!(trail.roles, [((workspace_id(), user_id(9)), (NOW, Some(Role::Maintain)))].into());
    let platforms =
        [(workspace_id(), (NOW, vec![Platform::AwsBatch, Platform::Slurm])), (other, (NOW, Vec::new()))];
    assert_eq!(trail.platforms, platforms.into());
}
