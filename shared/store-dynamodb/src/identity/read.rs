//! Reading identity. A row that only guards a name says whose it is; what it is stands in one place.

use async_trait::async_trait;
use std::collections::HashMap;

use domain::identity::{Organization, StoredToken, User, Workspace};
use domain::ids::{OrgId, TokenId, UserId, WorkspaceId};
use domain::owner::SecretOwner;
use domain::ports::ReadIdentity;
use domain::role::Role;
use domain::{Error, Result};

use super::keys::{MEMBERS, MEMBERSHIPS, TOKENS};
use crate::Store;
use crate::keys::{Key, members_of};
use crate::membership::role_from;
use crate::read::Search;
use crate::rows::{Row, from_fields, garbled};

#[async_trait(?Send)]
impl ReadIdentity for Store {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        let row = self.get(Key::user(id)).await?;
        row.map(|row| from_fields(&row, "user")).transpose()
    }

    async fn user_by_name(&self, name: &str) -> Result<Option<User>> {
        self.guarded_user(Key::user_name(name)).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        self.guarded_user(Key::email(email)).await
    }

    async fn tokens(&self, user: UserId) -> Result<Vec<StoredToken>> {
        let mirrors = self.rows_of(SecretOwner::User(user).to_string(), TOKENS).await?;
        let ids = mirrors.iter().map(|row| id_of::<TokenId>(row).map(Key::token));
        let rows = self.get_many(&ids.collect::<Result<Vec<_>>>()?).await?;
        let tokens = rows.iter().map(|row| from_fields(row, "token"));
        let mut tokens = tokens.collect::<Result<Vec<StoredToken>>>()?;
        tokens.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(tokens)
    }

    async fn organization_by_name(&self, name: &str) -> Result<Option<Organization>> {
        let row = self.get(Key::organization_name(name)).await?;
        row.map(|row| from_fields(&row, "organization")).transpose()
    }

    async fn workspace_by_name(&self, org: OrgId, name: &str) -> Result<Option<Workspace>> {
        let Some(guard) = self.get(Key::workspace_name(org, name)).await? else {
            return Ok(None);
        };
        let row = self.get(Key::workspace(guard.parsed("id")?)).await?;
        let row = row.ok_or(Error::bug("a workspace's name is guarded and the workspace is not there"))?;
        from_fields(&row, "workspace").map(Some)
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<(Workspace, Role)>> {
        let mirrors = self.rows_of(SecretOwner::User(user).to_string(), MEMBERSHIPS).await?;
        let roles = roles::<WorkspaceId>(&mirrors)?;
        let keys: Vec<_> = roles.keys().copied().map(Key::workspace).collect();
        let rows = self.get_many(&keys).await?;
        let workspaces = rows.iter().map(|row| from_fields(row, "workspace"));
        let workspaces = workspaces.collect::<Result<Vec<Workspace>>>()?;
        let with_role = |workspace: Workspace| roles.get(&workspace.id).map(|role| (workspace, *role));
        let mut memberships: Vec<_> = workspaces.into_iter().filter_map(with_role).collect();
        memberships.sort_by_key(|(workspace, _)| workspace.id);
        Ok(memberships)
    }

    async fn participants(&self, workspace: WorkspaceId) -> Result<Vec<(User, Role)>> {
        let members = self.rows_of(members_of(workspace), MEMBERS).await?;
        let roles = roles::<UserId>(&members)?;
        let keys: Vec<_> = roles.keys().copied().map(Key::user).collect();
        let rows = self.get_many(&keys).await?;
        let users = rows.iter().map(|row| from_fields(row, "user")).collect::<Result<Vec<User>>>()?;
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
        let user = self.user(guard.parsed("user")?).await?;
        user.map(Some).ok_or(Error::bug("a user's name is guarded and the user is not there"))
    }

    async fn rows_of(&self, pk: String, prefix: &str) -> Result<Vec<Row>> {
        self.search(Search { pk, prefix: prefix.to_owned(), newest_first: false, limit: None }).await
    }
}

/// The roles of membership rows, by the id that the sort key ends with.
fn roles<Id: std::str::FromStr + Eq + std::hash::Hash>(rows: &[Row]) -> Result<HashMap<Id, Role>> {
    let mut roles = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(role) = role_from(row)? {
            roles.insert(id_of(row)?, role);
        }
    }
    Ok(roles)
}

fn id_of<Id: std::str::FromStr>(row: &Row) -> Result<Id> {
    let id = row.text("sk")?.split_once('#').and_then(|(_, id)| id.parse().ok());
    id.ok_or_else(|| garbled("sk"))
}
