//! Reading identity. The guard of a name contains only the id of the item that has the name.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::identity::{Login, Organization, StoredToken, User, Workspace, fold};
use domain::ids::{OrgId, TokenId, UserId, WorkspaceId};
use domain::owner::SecretOwner;
use domain::ports::{ReadIdentity, ReadRevocations, ReadUserRoles, ReadUserStatus};
use domain::role::Role;
use domain::{Error, Result};

use super::keys::{MEMBERS, MEMBERSHIPS, TOKENS, USER_NAMES, logins_of};
use crate::Store;
use crate::keys::{Key, members_of};
use crate::membership::role_from;
use crate::read::{all, at_most, page};
use crate::rows::{Row, s};
use crate::transaction::DISABLED;

#[async_trait(?Send)]
impl ReadIdentity for Store {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.find(Key::user(id)).await
    }

    async fn users(&self, after: Option<&str>, limit: u32) -> Result<Vec<User>> {
        let guards = self.partition(USER_NAMES);
        let guards = match after {
            None => guards,
            Some(name) => guards
                .key_condition_expression("pk = :pk AND sk > :after")
                .expression_attribute_values(":after", s(fold(name))),
        };
        let guards = at_most(limit, guards.limit(page(limit)), "dynamodb Query").await?;
        let keys: Result<Vec<_>> = guards.iter().map(|row| row.field("user").map(Key::user)).collect();
        let mut users: Vec<User> = self.find_many(&keys?).await?;
        if users.len() != guards.len() {
            return Err(Error::bug("the guard of a user's name refers to a missing user"));
        }
        users.sort_by_key(|user| fold(&user.user_name));
        Ok(users)
    }

    async fn role_of_participant(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>> {
        match self.get(Key::member(workspace, user)).await? {
            Some(row) => role_from(&row),
            None => Ok(None),
        }
    }

    async fn user_by_name(&self, name: &str) -> Result<Option<User>> {
        self.guarded_user(Key::user_name(name)).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        self.guarded_user(Key::email(email)).await
    }

    async fn logins(&self, issuer: &str) -> Result<Vec<(Login, UserId)>> {
        let rows = all(self.partition(logins_of(issuer))).await?;
        let login = |row: &Row| {
            let login = Login { issuer: issuer.to_owned(), subject: row.field("sk")? };
            Ok((login, row.field("user")?))
        };
        rows.iter().map(login).collect()
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

#[async_trait(?Send)]
impl ReadUserRoles for Store {
    async fn roles_of_user(&self, user: UserId) -> Result<Vec<Role>> {
        let mirrors = all(self.with_prefix(SecretOwner::User(user), MEMBERSHIPS)).await?;
        Ok(roles::<WorkspaceId>(&mirrors)?.into_values().collect())
    }
}

#[async_trait(?Send)]
impl ReadUserStatus for Store {
    async fn is_enabled(&self, user: UserId) -> Result<bool> {
        Ok(self.get(Key::user(user)).await?.is_some_and(|row| !row.0.contains_key(DISABLED)))
    }
}

#[async_trait(?Send)]
impl ReadRevocations for Store {
    async fn is_revoked(&self, user: UserId, token: TokenId) -> Result<bool> {
        Ok(self.get(Key::token_of_user(user, token)).await?.is_none())
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
    use crate::rows::n;
    use crate::testing::{OWNER, TestStore, VIEWER, a_user, a_workspace, user, workspace};

    async fn with_users() -> TestStore {
        let test = TestStore::start().await;
        for (number, name) in [(OWNER, "olivia"), (VIEWER, "victor")] {
            let user = a_user(number, name);
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
    async fn users_are_listed_by_name_page_by_page() {
        let test = TestStore::start().await;
        for (number, name) in [(11, "Bob"), (12, "alice"), (13, "carol")] {
            let new = a_user(number, name);
            test.seed(Key::user(new.id).row(crate::rows::fields(&new).unwrap())).await;
            test.seed(Key::user_name(name).with([("user", n(number))])).await;
        }
        test.table.faults.forget();
        let names = async |after: Option<&str>, limit| {
            let users = test.store.users(after, limit).await.unwrap();
            users.into_iter().map(|user| user.user_name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(None, 2).await, "alice Bob");
        assert_eq!(test.operations(), ["Query", "BatchGetItem"]);
        assert_eq!(names(Some("BOB"), 2).await, "carol");
        assert_eq!(names(Some("carol"), 2).await, "");
    }

    #[tokio::test]
    async fn a_token_is_revoked_once_its_user_does_not_have_it() {
        let test = with_users().await;
        let token = TokenId::new(5).unwrap();
        assert!(test.store.is_revoked(user(OWNER), token).await.unwrap());
        test.seed(Key::token_of_user(user(OWNER), token).with([("id", n(token))])).await;
        assert!(!test.store.is_revoked(user(OWNER), token).await.unwrap());
        assert!(test.store.is_revoked(user(VIEWER), token).await.unwrap());
        assert!(test.calls().iter().all(|call| call.body["ConsistentRead"] == true));
        assert_eq!(test.operations(), ["GetItem"; 3]);
    }

    #[tokio::test]
    async fn only_a_user_who_exists_and_is_not_disabled_is_enabled() {
        let test = with_users().await;
        assert!(test.store.is_enabled(user(OWNER)).await.unwrap());
        assert_eq!(test.calls()[0].body["ConsistentRead"], true);
        assert!(!test.store.is_enabled(user(99)).await.unwrap());
        test.set(Key::user(user(OWNER)), DISABLED, s("x")).await;
        assert!(!test.store.is_enabled(user(OWNER)).await.unwrap());
    }

    #[tokio::test]
    async fn the_roles_of_a_user_are_one_consistent_query() {
        let test = with_users().await;
        for (workspace, role) in [(42, "owner"), (43, "view"), (44, "emperor")] {
            let workspace = WorkspaceId::new(workspace).unwrap();
            test.seed(Key::membership(user(OWNER), workspace).with([("role", s(role))])).await;
        }
        test.table.faults.forget();
        let mut roles = test.store.roles_of_user(user(OWNER)).await.unwrap();
        roles.sort_unstable();
        assert_eq!(roles, [Role::Owner, Role::View]);
        assert_eq!(test.operations(), ["Query"]);
        assert_eq!(test.calls()[0].body["ConsistentRead"], true);
        assert_eq!(test.store.roles_of_user(user(99)).await.unwrap(), []);
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
