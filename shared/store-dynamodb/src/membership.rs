//! Memberships: read for every request, never cached.

use std::str::FromStr;

use async_trait::async_trait;
use domain::Result;
use domain::environment::{EnvironmentId, StoredEnvironment};
use domain::identity::Workspace;
use domain::ids::{UserId, WorkspaceId};
use domain::owner::SecretOwner;
use domain::ports::{ReadMembership, ReadTarget};
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
        let found = self.membership_and(workspace, user, None).await?;
        Ok(found.map(|(role, workspace, _)| (role, workspace)))
    }
}

#[async_trait(?Send)]
impl ReadTarget for Store {
    async fn role_workspace_and_environment(
        &self,
        workspace: WorkspaceId,
        user: UserId,
        id: &EnvironmentId,
    ) -> Result<Option<(Role, Workspace, Option<StoredEnvironment>)>> {
        let environment = Key::environment(workspace, id);
        let Some((role, workspace, row)) = self.membership_and(workspace, user, Some(environment)).await?
        else {
            return Ok(None);
        };
        Ok(Some((role, workspace, row.map(Row::read).transpose()?)))
    }
}

impl Store {
    /// Reads role and workspace, and one more row, in one call.
    async fn membership_and(
        &self,
        workspace: WorkspaceId,
        user: UserId,
        more: Option<Key>,
    ) -> Result<Option<(Role, Workspace, Option<Row>)>> {
        let member = Key::member(workspace, user);
        let meta = Key::meta(SecretOwner::Workspace(workspace));
        let keys: Vec<_> = [&member, &meta].into_iter().chain(&more).cloned().collect();
        let rows = self.get_many(&keys).await?;
        let find = |key: &Key| rows.iter().find(|row| row.0.get("sk") == Some(&s(&key.sk)));
        let (Some(member), Some(meta)) = (find(&member), find(&meta)) else {
            return Ok(None);
        };
        let Some(role) = enabled_role_from(member)? else {
            return Ok(None);
        };
        let workspace: Workspace = meta.clone().read()?;
        Ok(workspace.deleted.is_none().then(|| (role, workspace, more.as_ref().and_then(find).cloned())))
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
    use crate::environments::row::environment_row;
    use crate::rows::n;
    use crate::testing::{OWNER, TestStore, VIEWER, a_stored_environment, a_workspace, user, workspace};

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
    async fn the_environment_of_a_launch_is_read_in_the_same_call() {
        let test = TestStore::start().await;
        let stored = a_stored_environment("a");
        test.seed(environment_row(&stored).unwrap()).await;
        test.table.faults.forget();
        let (id, other) = (&stored.environment.id, &a_stored_environment("b").environment.id);
        let read = async |workspace, user, id| {
            test.store.role_workspace_and_environment(workspace, user, id).await.unwrap()
        };
        let found = read(workspace(), user(OWNER), id).await;
        assert_eq!(found, Some((Role::Owner, a_workspace(), Some(stored.clone()))));
        assert_eq!(read(workspace(), user(OWNER), other).await, Some((Role::Owner, a_workspace(), None)));
        assert_eq!(read(workspace(), user(99), id).await, None);
        assert_eq!(read(WorkspaceId::new(43).unwrap(), user(OWNER), id).await, None);
        assert_eq!(test.operations(), ["BatchGetItem"; 4]);
        assert_eq!(test.calls()[0].body["RequestItems"]["pipeline-secrets"]["ConsistentRead"], true);
        test.set(Key::environment(workspace(), id), "externalId", s("too short")).await;
        let damaged = test.store.role_workspace_and_environment(workspace(), user(OWNER), id).await;
        assert!(matches!(damaged, Err(domain::Error::Bug { .. })), "{damaged:?}");
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
