//! Reading identity. The guard of a name contains only the id of the item that has the name.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::identity::{Organization, StoredToken, User, Workspace};
use domain::ids::{OrgId, UserId, WorkspaceId};
use domain::owner::SecretOwner;
use domain::ports::ReadIdentity;
use domain::role::Role;
use domain::{Error, Result};

use super::keys::{MEMBERS, MEMBERSHIPS, TOKENS};
use crate::Store;
use crate::keys::{Key, members_of};
use crate::membership::role_from;
use crate::read::all;
use crate::rows::Row;

#[async_trait(?Send)]
impl ReadIdentity for Store {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.find(Key::user(id)).await
    }

    async fn user_by_name(&self, name: &str) -> Result<Option<User>> {
        self.guarded_user(Key::user_name(name)).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        self.guarded_user(Key::email(email)).await
    }

    async fn tokens(&self, user: UserId) -> Result<Vec<StoredToken>> {
        let mirrors = all(self.with_prefix(SecretOwner::User(user), TOKENS)).await?;
        let keys: Result<Vec<_>> = mirrors.iter().map(|row| row.id().map(Key::token)).collect();
        let mut tokens: Vec<StoredToken> = self.find_many(&keys?).await?;
        tokens.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(tokens)
    }

    async fn organization_by_name(&self, name: &str) -> Result<Option<Organization>> {
        self.find(Key::organization_name(name)).await
    }

    async fn workspace_by_name(&self, org: OrgId, name: &str) -> Result<Option<Workspace>> {
        let Some(guard) = self.get(Key::workspace_name(org, name)).await? else {
            return Ok(None);
        };
        let workspace = self.find(Key::workspace(guard.field("id")?)).await?;
        workspace.map(Some).ok_or(Error::bug("the guard of a workspace's name refers to a missing workspace"))
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<(Workspace, Role)>> {
        let mirrors = all(self.with_prefix(SecretOwner::User(user), MEMBERSHIPS)).await?;
        let roles = roles::<WorkspaceId>(&mirrors)?;
        let keys: Vec<_> = roles.keys().copied().map(Key::workspace).collect();
        let workspaces: Vec<Workspace> = self.find_many(&keys).await?;
        let with_role = |workspace: Workspace| roles.get(&workspace.id).map(|role| (workspace, *role));
        let mut memberships: Vec<_> = workspaces.into_iter().filter_map(with_role).collect();
        memberships.sort_by_key(|(workspace, _)| workspace.id);
        Ok(memberships)
    }

    async fn participants(&self, workspace: WorkspaceId) -> Result<Vec<(User, Role)>> {
        let members = all(self.with_prefix(members_of(workspace), MEMBERS)).await?;
        let roles = roles::<UserId>(&members)?;
        let keys: Vec<_> = roles.keys().copied().map(Key::user).collect();
        let users: Vec<User> = self.find_many(&keys).await?;
        let with_role = |user: User| roles.get(&user.id).map(|role| (user, *role));
        let mut participants: Vec<_> = users.into_iter().filter_map(with_role).collect();
        participants.sort_by_key(|(user, _)| user.id);
        Ok(participants)
    }
}

impl Store {
    async fn guarded_user(&self, guard: Key) -> Result<Option<User>> {
        let Some(guard) = self.get(guard).await? else {
            return Ok(None);
        };
        let user = self.user(guard.field("user")?).await?;
        user.map(Some).ok_or(Error::bug("the guard of a user's name or email refers to a missing user"))
    }
}

/// The roles of membership rows, by the id at the end of the sort key.
fn roles<Id: std::str::FromStr + Eq + std::hash::Hash>(rows: &[Row]) -> Result<HashMap<Id, Role>> {
    let mut roles = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(role) = role_from(row)? {
            roles.insert(row.id()?, role);
        }
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{n, s};
    use crate::testing::{OWNER, TestStore, VIEWER, a_workspace, now, user, workspace};

    async fn with_users() -> TestStore {
        let test = TestStore::start().await;
        for (number, name) in [(OWNER, "olivia"), (VIEWER, "victor")] {
            let email = format!("{name}@example.org");
            let user = User { id: user(number), user_name: name.into(), email, created: now() };
            test.seed(Key::user(user.id).row(crate::rows::fields(&user).unwrap())).await;
        }
        test.table.faults.forget();
        test
    }

    #[tokio::test]
    async fn participants_are_sorted_by_id_and_read_in_two_consistent_calls() {
        let test = with_users().await;
        let participants = test.store.participants(workspace()).await.unwrap();
        let found: Vec<_> =
            participants.iter().map(|(user, role)| (user.user_name.as_str(), *role)).collect();
        assert_eq!(found, [("olivia", Role::Owner), ("victor", Role::View)]);
        assert_eq!(test.operations(), ["Query", "BatchGetItem"]);
        let calls = test.calls();
        assert_eq!(calls[0].body["ConsistentRead"], true);
        assert_eq!(calls[1].body["RequestItems"]["pipeline-secrets"]["ConsistentRead"], true);
    }

    #[tokio::test]
    async fn a_role_of_a_later_version_makes_no_participant() {
        let test = with_users().await;
        test.set(Key::member(workspace(), user(VIEWER)), "role", s("emperor")).await;
        test.seed(Key::membership(user(OWNER), workspace()).with([("role", s("emperor"))])).await;
        assert_eq!(test.store.participants(workspace()).await.unwrap().len(), 1);
        assert_eq!(test.store.memberships(user(OWNER)).await.unwrap(), []);
        test.set(Key::membership(user(OWNER), workspace()), "role", s("owner")).await;
        let memberships = test.store.memberships(user(OWNER)).await.unwrap();
        assert_eq!(memberships, [(a_workspace(), Role::Owner)]);
    }

    #[tokio::test]
    async fn a_guard_without_its_item_is_an_error() {
        let test = with_users().await;
        test.seed(Key::user_name("gone").with([("user", n(9))])).await;
        test.seed(Key::email("gone@example.org").with([("user", n(9))])).await;
        test.seed(Key::workspace_name(a_workspace().org, "gone").with([("id", n(43))])).await;
        let by_name = test.store.user_by_name("gone").await.unwrap_err();
        let by_email = test.store.user_by_email("gone@example.org").await.unwrap_err();
        let workspace = test.store.workspace_by_name(a_workspace().org, "gone").await.unwrap_err();
        for error in [by_name, by_email, workspace] {
            assert!(matches!(error, Error::Bug { .. }), "{error}");
        }
        assert_eq!(test.store.user_by_name("unknown").await.unwrap(), None);
        assert_eq!(test.store.organization_by_name("unknown").await.unwrap(), None);
    }
}
