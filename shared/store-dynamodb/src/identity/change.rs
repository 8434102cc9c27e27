//! Identity changes: each set is one transaction with all its audit records.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::identity::{
    Change, Login, Organization, Participant, RequiredMembership, StoredToken, User, Workspace,
};
use domain::ids::{UserId, WorkspaceId};
use domain::owner::SecretOwner;
use domain::platform::Platform;
use domain::ports::ChangeIdentity;
use domain::role::Role;
use domain::use_cases::identity::{LAST_OWNER, USER_DISABLED};
use domain::{Error, Result, Timestamp};

use crate::Store;
use crate::expiry::token_fields;
use crate::expression_attributes::{Changes, ExpressionAttributes};
use crate::keys::Key;
use crate::rows::{attribute, fields, n, s};
use crate::transaction::{DISABLED, ExistingItem, PRESENT, Refusal, Transaction, has_role};

#[async_trait(?Send)]
impl ChangeIdentity for Store {
    async fn change_identity(
        &self,
        changes: &[Change],
        audit: &[AuditRecord],
        required: Option<&RequiredMembership>,
    ) -> Result<()> {
        let mut transaction = self.transaction();
        let mut metas: BTreeMap<WorkspaceId, Meta> = BTreeMap::new();
        for (user, grants) in must_be_enabled(changes) {
            match grants {
                0 => transaction.still_enabled(Part::Enabled, user),
                grants => count_grants(&mut transaction, user, grants),
            }
        }
        // If the caller leaves, steps down or deletes the workspace, the change to the caller's
        // role carries a condition.
        if let Some(required) =
            required.filter(|required| !changes.iter().any(|it| writes_role_of(it, required)))
        {
            transaction.still_in(required.workspace, required.user, &required.roles);
        }
        for change in changes {
            match change {
                Change::CreateUser(user, login) => create_user(&mut transaction, user, login.as_ref())?,
                Change::AddLogin(user, login, from) => {
                    add_login(&mut transaction, *user, login, *from);
                }
                Change::RemoveUser { user, at } => remove_user(&mut transaction, user, *at)?,
                Change::SetDisabled { user, grants, disabled, workspaces } => {
                    set_disabled(&mut transaction, *user, *grants, *disabled, workspaces)?;
                }
                Change::CreateToken(token) => create_token(&mut transaction, token)?,
                Change::RevokeToken(token) => revoke_token(&mut transaction, token),
                Change::CreateOrganization(organization) => {
                    create_organization(&mut transaction, organization)?;
                }
                Change::CreateWorkspace(workspace) => {
                    let guard = Key::workspace_name(workspace.org, &workspace.name);
                    transaction.put_new(Part::Row, guard.with([("id", n(workspace.id))]));
                    metas.entry(workspace.id).or_default().new = Some(workspace);
                }
                Change::DeleteWorkspace { workspace, members, at } => {
                    delete_workspace(&mut transaction, workspace, *at)?;
                    for member in members {
                        let required =
                            required.filter(|it| (it.workspace, it.user) == (workspace.id, *member));
                        delete_member(&mut transaction, workspace.id, *member, required);
                    }
                }
                Change::SetPlatforms(workspace, platforms) => {
                    metas.entry(workspace.id).or_default().platforms =
                        Some((&workspace.platforms, platforms));
                }
                Change::SetRole { workspace, user, from, to } => {
                    set_role(&mut transaction, *workspace, *user, *from, *to)?;
                    let meta = metas.entry(*workspace).or_default();
                    meta.owners += change.owners();
                    meta.grants += u64::from(from.is_none());
                }
            }
        }
        for (id, meta) in &metas {
            write_meta(&mut transaction, *id, meta)?;
        }
        for record in audit {
            transaction.audited(record)?;
        }
        transaction.send().await?.or_else(|refusal| refused(&refusal, &metas))
    }
}

/// The parts of the transaction whose failure means different things.
#[derive(PartialEq)]
enum Part {
    /// A row that must be as it was when the change was decided.
    Row,
    /// A user who must not be disabled.
    Enabled,
    /// A user who gets a role: must exist and not be disabled.
    Granted,
    /// The membership of the caller who deletes the workspace.
    Caller,
    /// A workspace's row: its number of owners and its platforms.
    Workspace(WorkspaceId),
}

/// The changes to a workspace's row, the only row that several changes share.
#[derive(Default)]
struct Meta<'a> {
    new: Option<&'a Workspace>,
    platforms: Option<(&'a [Platform], &'a [Platform])>,
    owners: i64,
    grants: u64,
}

fn writes_role_of(change: &Change, required: &RequiredMembership) -> bool {
    match change {
        Change::SetRole { workspace, user, .. } => (*workspace, *user) == (required.workspace, required.user),
        Change::DeleteWorkspace { workspace, members, .. } => {
            workspace.id == required.workspace && members.contains(&required.user)
        }
        _ => false,
    }
}

/// The users who must not be disabled: those who get a token or a role, with the number of these
/// roles. A transaction cannot check a row that it also writes.
fn must_be_enabled(changes: &[Change]) -> BTreeMap<UserId, u64> {
    let gets = |change: &Change| match change {
        Change::CreateToken(token) => Some((token.user, 0)),
        Change::SetRole { user, from: None, .. } => Some((*user, 1)),
        _ => None,
    };
    let written = |change: &Change| match change {
        Change::CreateUser(user, _) => Some(user.id),
        _ => None,
    };
    let written: BTreeSet<_> = changes.iter().filter_map(written).collect();
    let mut users = BTreeMap::new();
    for (user, roles) in changes.iter().filter_map(gets).filter(|(user, _)| !written.contains(user)) {
        *users.entry(user).or_default() += roles;
    }
    users
}

/// Requires that the user exists and is not disabled, and counts the roles that the user gets.
fn count_grants(transaction: &mut Changing, user: UserId, grants: u64) {
    let mut changes = Changes::default();
    changes.add(GRANTS, n(grants));
    let enabled = format!("attribute_not_exists({})", changes.attributes().name(DISABLED));
    transaction.change_if(Part::Granted, Key::user(user), changes, &format!("{PRESENT} AND {enabled}"));
}

type Changing<'a> = Transaction<'a, Part>;

fn create_user(transaction: &mut Changing, user: &User, login: Option<&Login>) -> Result<()> {
    transaction.put_new(Part::Row, Key::user(user.id).row(fields(user)?));
    let login = login.map(Key::login);
    for guard in [Key::user_name(&user.user_name), Key::email(&user.email)].into_iter().chain(login) {
        transaction.put_new(Part::Row, guard.with([("user", n(user.id))]));
    }
    Ok(())
}

fn add_login(transaction: &mut Changing, user: UserId, login: &Login, from: Option<UserId>) {
    let row = Key::login(login).with([("user", n(user))]);
    match from {
        None => transaction.put_new(Part::Row, row),
        Some(from) => {
            let mut attributes = ExpressionAttributes::default();
            let condition = attributes.equals("user", n(from));
            transaction.put_if(Part::Row, row, &condition, attributes);
        }
    }
}

/// The user must be disabled, so nothing that identifies the user is accepted.
fn remove_user(transaction: &mut Changing, user: &User, at: Timestamp) -> Result<()> {
    let mut changes = Changes::default();
    changes.set("removed", attribute(&at)?);
    let disabled = format!("attribute_exists({})", changes.attributes().name(DISABLED));
    let condition = format!("{disabled} AND {}", same_grants(&mut changes, user.grants));
    let condition = format!("{condition} AND attribute_not_exists({})", changes.attributes().name("removed"));
    transaction.change_if(Part::Row, Key::user(user.id), changes, &condition);
    for guard in [Key::user_name(&user.user_name), Key::email(&user.email)] {
        let mut attributes = ExpressionAttributes::default();
        let of_user = attributes.equals("user", n(user.id));
        transaction.delete_if(Part::Row, guard, &of_user, attributes);
    }
    let removed = Key::removed(SecretOwner::User(user.id));
    transaction.put(Part::Row, removed.with([("removedAt", attribute(&at)?)]));
    Ok(())
}

/// Authorization reads the memberships, so each is marked as well.
fn set_disabled(
    transaction: &mut Changing,
    user: UserId,
    grants: u64,
    disabled: Option<Timestamp>,
    workspaces: &[WorkspaceId],
) -> Result<()> {
    let disabled = disabled.map(|at| attribute(&at)).transpose()?;
    let mark = || {
        let mut changes = Changes::default();
        changes.set_or_remove([(DISABLED.to_owned(), disabled.clone())].into());
        changes
    };
    let mut changes = mark();
    let condition = format!("{PRESENT} AND {}", same_grants(&mut changes, grants));
    let condition = format!("{condition} AND attribute_not_exists({})", changes.attributes().name("removed"));
    transaction.change_if(Part::Row, Key::user(user), changes, &condition);
    for workspace in workspaces {
        transaction.change_if(Part::Row, Key::member(*workspace, user), mark(), PRESENT);
    }
    Ok(())
}

/// The condition that no role was given since this number was read.
fn same_grants(changes: &mut Changes, grants: u64) -> String {
    let attributes = changes.attributes();
    match grants {
        0 => format!("attribute_not_exists({})", attributes.name(GRANTS)),
        grants => attributes.equals(GRANTS, n(grants)),
    }
}

fn create_token(transaction: &mut Changing, token: &StoredToken) -> Result<()> {
    transaction.put_new(Part::Row, Key::token(token.id).row(token_fields(token)?));
    for guard in [Key::token_of_user(token.user, token.id), Key::token_name(token)] {
        transaction.put_new(Part::Row, guard.with([("id", n(token.id))]));
    }
    if let Some(maker) = token.created_with {
        transaction.still_has_token(Part::Row, token.user, maker);
    }
    Ok(())
}

fn revoke_token(transaction: &mut Changing, token: &StoredToken) {
    transaction.delete_if(Part::Row, Key::token(token.id), PRESENT, ExpressionAttributes::default());
    transaction.delete(Part::Row, Key::token_of_user(token.user, token.id));
    transaction.delete(Part::Row, Key::token_name(token));
}

fn create_organization(transaction: &mut Changing, organization: &Organization) -> Result<()> {
    for key in [Key::organization(organization), Key::organization_name(&organization.name)] {
        transaction.put_new(Part::Row, key.row(fields(organization)?));
    }
    Ok(())
}

/// Authorization reads the row under the workspace. The row under the user is a mirror.
fn set_role(
    transaction: &mut Changing,
    workspace: WorkspaceId,
    user: UserId,
    from: Option<Role>,
    to: Option<Role>,
) -> Result<()> {
    let key = Key::member(workspace, user);
    let mirror = Key::membership(user, workspace);
    match to {
        Some(role) => transaction.put(Part::Row, mirror.with([("role", s(role.as_str()))])),
        None => transaction.delete(Part::Row, mirror),
    }
    match (from, to) {
        (None, Some(role)) => {
            transaction.put_new(Part::Row, key.row(fields(&Participant { workspace, user, role })?));
        }
        (Some(from), Some(role)) => {
            let mut changes = Changes::default();
            changes.set("role", s(role.as_str()));
            let condition = changes.attributes().equals("role", s(from.as_str()));
            transaction.change_if(Part::Row, key, changes, &condition);
        }
        (Some(from), None) => {
            let mut attributes = ExpressionAttributes::default();
            let condition = attributes.equals("role", s(from.as_str()));
            transaction.delete_if(Part::Row, key, &condition, attributes);
        }
        (None, None) => return Err(Error::bug("a role change with neither an old nor a new role")),
    }
    Ok(())
}

/// Its row stays, so that a restored table can tell, and so that its id is never used again.
fn delete_workspace(transaction: &mut Changing, workspace: &Workspace, at: Timestamp) -> Result<()> {
    let mut changes = Changes::default();
    changes.set(DELETED, attribute(&at)?);
    let conditions =
        [PRESENT.to_owned(), not_deleted(&mut changes), same_grants(&mut changes, workspace.grants)];
    transaction.change_if(Part::Row, Key::workspace(workspace.id), changes, &conditions.join(" AND "));
    let mut attributes = ExpressionAttributes::default();
    let of_it = attributes.equals("id", n(workspace.id));
    let name = Key::workspace_name(workspace.org, &workspace.name);
    transaction.delete_if(Part::Row, name, &of_it, attributes);
    let removed = Key::removed(SecretOwner::Workspace(workspace.id));
    transaction.put(Part::Row, removed.with([("removedAt", attribute(&at)?)]));
    Ok(())
}

fn delete_member(
    transaction: &mut Changing,
    workspace: WorkspaceId,
    user: UserId,
    required: Option<&RequiredMembership>,
) {
    transaction.delete(Part::Row, Key::membership(user, workspace));
    let key = Key::member(workspace, user);
    match required {
        None => transaction.delete(Part::Row, key),
        Some(required) => {
            let mut attributes = ExpressionAttributes::default();
            let condition = has_role(&mut attributes, &required.roles);
            transaction.delete_if(Part::Caller, key, &condition, attributes);
        }
    }
}

fn not_deleted(changes: &mut Changes) -> String {
    format!("attribute_not_exists({})", changes.attributes().name(DELETED))
}

fn write_meta(transaction: &mut Changing, id: WorkspaceId, meta: &Meta) -> Result<()> {
    let part = Part::Workspace(id);
    if let Some(workspace) = meta.new {
        if meta.owners < 1 {
            return Err(Error::bug("a workspace created without an owner"));
        }
        let mut row = fields(workspace)?;
        row.insert(OWNERS.into(), Some(n(meta.owners)));
        transaction.put_new(part, Key::workspace(id).row(row));
        return Ok(());
    }
    if meta.owners == 0 && meta.grants == 0 && meta.platforms.is_none() {
        return Ok(());
    }
    let mut changes = Changes::default();
    let mut conditions = vec![PRESENT.to_owned(), not_deleted(&mut changes)];
    if meta.grants > 0 {
        changes.add(GRANTS, n(meta.grants));
    }
    if meta.owners != 0 {
        changes.add(OWNERS, n(meta.owners));
    }
    if meta.owners < 0 {
        let attributes = changes.attributes();
        let (name, fewer) = (attributes.name(OWNERS), attributes.value(n(-meta.owners)));
        conditions.push(format!("{name} > {fewer}"));
    }
    if let Some((old, new)) = meta.platforms {
        changes.set("platforms", attribute(&new)?);
        conditions.push(changes.attributes().equals("platforms", attribute(&old)?));
    }
    transaction.change_if(part, Key::workspace(id), changes, &conditions.join(" AND "));
    Ok(())
}

/// If a row has changed, another writer was faster: the caller must decide again from the current
/// rows.
fn refused(refusal: &Refusal<Part>, metas: &BTreeMap<WorkspaceId, Meta>) -> Result<()> {
    refusal.unless_contended()?;
    if refusal.of(&Part::Caller).is_some() {
        return Err(Error::NotFound);
    }
    let disabled = matches!(refusal.of(&Part::Granted), Some(ExistingItem::Row(_)));
    if disabled || refusal.of(&Part::Enabled).is_some() {
        return Err(Error::Conflict(USER_DISABLED.into()));
    }
    if refusal.of(&Part::Row).is_some() {
        return Err(Error::Contended);
    }
    for (id, meta) in metas {
        let Some(ExistingItem::Row(row)) = refusal.of(&Part::Workspace(*id)) else {
            continue;
        };
        if meta.owners < 0 && row.field::<i64>(OWNERS)? <= -meta.owners {
            return Err(Error::Conflict(LAST_OWNER.into()));
        }
    }
    Err(Error::Contended)
}

/// When a workspace was deleted.
const DELETED: &str = "deleted";
/// The number of roles that a user was given, or that were given in a workspace.
const GRANTS: &str = "grants";
/// The number of owners of a workspace.
const OWNERS: &str = "ownerCount";

#[cfg(test)]
mod tests;
