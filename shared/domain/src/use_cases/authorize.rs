use crate::identity::Actor;
use crate::ids::WorkspaceId;
use crate::owner::Scope;
use crate::ports::ReadMembership;
use crate::role::Permission;
use crate::settings::Settings;
use crate::{Error, Result};

/// Checks that the actor has the permission on the workspace's secrets, or on the actor's user
/// secrets if no workspace is named. Refuses a token of another workspace before it reads. Makes
/// one consistent read. Returns the same
/// [`Error::NotFound`] for a workspace that does not exist and for one in which the actor is not a
/// participant.
pub async fn authorize(
    store: &dyn ReadMembership,
    settings: &Settings,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    permission: Permission,
) -> Result<Scope> {
    let Some(workspace) = workspace else {
        return Scope::own(actor, permission);
    };
    actor.check_workspace(Some(workspace))?;
    let role = store.role(workspace, actor.user).await?.ok_or(Error::NotFound)?;
    Scope::for_role(settings, actor, workspace, role, permission)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Workspace;
    use crate::ids::UserId;
    use crate::role::Role;

    /// A store in which one user has this role in one workspace.
    struct OneMember(Option<Role>);

    #[async_trait::async_trait(?Send)]
    impl ReadMembership for OneMember {
        async fn role(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>> {
            Ok(self.0.filter(|_| workspace == self::workspace() && user == actor().user))
        }

        async fn role_and_workspace(&self, _: WorkspaceId, _: UserId) -> Result<Option<(Role, Workspace)>> {
            unreachable!("authorize reads only the role")
        }
    }

    /// A store that is not available.
    struct Down;

    #[async_trait::async_trait(?Send)]
    impl ReadMembership for Down {
        async fn role(&self, _: WorkspaceId, _: UserId) -> Result<Option<Role>> {
            Err(Error::unavailable("membership", "timed out"))
        }

        async fn role_and_workspace(&self, _: WorkspaceId, _: UserId) -> Result<Option<(Role, Workspace)>> {
            unreachable!("authorize reads only the role")
        }
    }

    fn workspace() -> WorkspaceId {
        WorkspaceId::new(42).unwrap()
    }

    fn actor() -> Actor {
        Actor::without_token(UserId::new(7).unwrap())
    }

    fn settings() -> Settings {
        Settings::new("test")
    }

    #[tokio::test]
    async fn authorize_distinguishes_members_other_users_and_user_secrets() {
        let elsewhere = WorkspaceId::new(43).unwrap();
        let write = Permission::WriteSecrets;
        for (case, role, place, expected) in [
            ("an owner", Some(Role::Owner), Some(workspace()), "WS#42"),
            ("a viewer", Some(Role::View), Some(workspace()), "forbidden"),
            ("not a participant", None, Some(workspace()), "not-found"),
            ("an owner of another workspace", Some(Role::Owner), Some(elsewhere), "not-found"),
            ("the user secrets of a workspace owner", Some(Role::Owner), None, "USER#7"),
            ("the user secrets of a viewer", Some(Role::View), None, "USER#7"),
            ("the user secrets of a user without a workspace", None, None, "USER#7"),
        ] {
            let scope = authorize(&OneMember(role), &settings(), &actor(), place, write).await;
            let answer =
                scope.map_or_else(|error| error.code().to_owned(), |scope| scope.owner().to_string());
            assert_eq!(answer, expected, "{case}");
        }
    }

    #[tokio::test]
    async fn a_token_of_one_workspace_is_refused_elsewhere_before_anything_is_read() {
        let limited = Actor { workspace: Some(workspace()), ..actor() };
        for place in [None, WorkspaceId::new(43)] {
            let scope = authorize(&Down, &settings(), &limited, place, Permission::ReadSecrets).await;
            assert_eq!(scope.unwrap_err().code(), "token-limited", "{place:?}");
        }
        let owner = OneMember(Some(Role::Owner));
        let here = authorize(&owner, &settings(), &limited, Some(workspace()), Permission::ReadSecrets).await;
        assert_eq!(here.unwrap().owner().to_string(), "WS#42");
    }

    #[tokio::test]
    async fn authorize_reads_no_membership_for_user_secrets() {
        for (place, code) in [(Some(workspace()), Some("unavailable")), (None, None)] {
            let scope = authorize(&Down, &settings(), &actor(), place, Permission::ReadSecrets).await;
            assert_eq!(scope.err().map(|error| error.code()), code, "{place:?}");
        }
    }
}
