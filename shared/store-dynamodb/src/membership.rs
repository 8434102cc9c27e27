//! Memberships: read for every request, never cached.

use std::str::FromStr;

use async_trait::async_trait;
use domain::Result;
use domain::identity::Workspace;
use domain::ids::{UserId, WorkspaceId};
use domain::owner::SecretOwner;
use domain::ports::ReadMembership;
use domain::role::Role;

use crate::Store;
use crate::keys::Key;
use crate::rows::{Row, s};
use crate::transaction::DISABLED;

#[async_trait(?Send)]
impl ReadMembership for Store {
    async fn role(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>> {
        match self.get(Key::member(workspace, user)).await? {
            Some(row) => enabled_role_from(&row),
            None => Ok(None),
        }
    }

    async fn role_and_workspace(
        &self,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<Option<(Role, Workspace)>> {
        let member = Key::member(workspace, user);
        let meta = Key::meta(SecretOwner::Workspace(workspace));
        let rows = self.get_many(&[member.clone(), meta.clone()]).await?;
        let find = |key: &Key| rows.iter().find(|row| row.0.get("sk") == Some(&s(&key.sk)));
        let (Some(member), Some(meta)) = (find(&member), find(&meta)) else {
            return Ok(None);
        };
        let Some(role) = enabled_role_from(member)? else {
            return Ok(None);
        };
        let workspace: Workspace = meta.clone().read()?;
        Ok(workspace.deleted.is_none().then_some((role, workspace)))
    }
}

/// The membership of a disabled user grants no permission.
fn enabled_role_from(row: &Row) -> Result<Option<Role>> {
    if row.0.contains_key(DISABLED) { Ok(None) } else { role_from(row) }
}

/// A role that this version does not know grants no permission.
pub(crate) fn role_from(row: &Row) -> Result<Option<Role>> {
    Ok(Role::from_str(&row.field::<String>("role")?).ok())
}

#[cfg(test)]
mod tests {
    use domain::ports::ReadIdentity;

    use super::*;
    use crate::rows::n;
    use crate::testing::{OWNER, TestStore, VIEWER, a_workspace, user, workspace};

    #[tokio::test]
    async fn a_role_is_read_consistently_in_one_call() {
        let test = TestStore::start().await;
        assert_eq!(test.store.role(workspace(), user(VIEWER)).await.unwrap(), Some(Role::View));
        assert_eq!(test.operations(), ["GetItem"]);
        assert_eq!(test.calls()[0].body["ConsistentRead"], true);
    }

    #[tokio::test]
    async fn a_missing_workspace_and_a_missing_membership_get_the_same_answer_in_one_call() {
        let test = TestStore::start().await;
        let elsewhere = WorkspaceId::new(43).unwrap();
        assert_eq!(test.store.role(elsewhere, user(OWNER)).await.unwrap(), None);
        assert_eq!(test.store.role(workspace(), user(99)).await.unwrap(), None);
        assert_eq!(test.store.role_and_workspace(elsewhere, user(OWNER)).await.unwrap(), None);
        assert_eq!(test.store.role_and_workspace(workspace(), user(99)).await.unwrap(), None);
        assert_eq!(test.operations(), ["GetItem", "GetItem", "BatchGetItem", "BatchGetItem"]);
    }

    #[tokio::test]
    async fn role_and_workspace_are_one_consistent_call() {
        let test = TestStore::start().await;
        let found = test.store.role_and_workspace(workspace(), user(OWNER)).await.unwrap();
        assert_eq!(found, Some((Role::Owner, a_workspace())));
        assert_eq!(test.operations(), ["BatchGetItem"]);
        assert_eq!(test.calls()[0].body["RequestItems"]["pipeline-secrets"]["ConsistentRead"], true);
    }

    #[tokio::test]
    async fn a_disabled_users_role_grants_no_permission() {
        let test = TestStore::start().await;
        test.set(Key::member(workspace(), user(OWNER)), DISABLED, n(1)).await;
        assert_eq!(test.store.role(workspace(), user(OWNER)).await.unwrap(), None);
        assert_eq!(test.store.role_and_workspace(workspace(), user(OWNER)).await.unwrap(), None);
        let known = test.store.role_of_participant(workspace(), user(OWNER)).await.unwrap();
        assert_eq!(known, Some(Role::Owner));
    }

    #[tokio::test]
    async fn a_deleted_workspace_is_not_found_even_with_a_membership() {
        let test = TestStore::start().await;
        let deleted = Key::meta(SecretOwner::Workspace(workspace()));
        test.set(deleted, "deleted", s("2026-11-23T10:20:30Z")).await;
        assert_eq!(test.store.role_and_workspace(workspace(), user(OWNER)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_role_of_a_later_version_grants_no_permission() {
        let test = TestStore::start().await;
        test.set(Key::member(workspace(), user(VIEWER)), "role", s("emperor")).await;
        assert_eq!(test.store.role(workspace(), user(VIEWER)).await.unwrap(), None);
    }
}
