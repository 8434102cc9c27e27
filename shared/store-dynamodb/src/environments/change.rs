//! Changes of environments and credentials. The row of credentials counts the environments that
//! use them, so that none can lose its credentials or get another role unproved.

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::environment::{CredentialsId, ListedEnvironment, StoredCredentials, StoredEnvironment};
use domain::ids::WorkspaceId;
use domain::owner::{Scope, SecretOwner};
use domain::ports::{ChangeEnvironments, EnvironmentChange, MAX_ENVIRONMENTS};
use domain::role::Permission;
use domain::use_cases::environments::{compute_envs, credentials};
use domain::{Error, Result, Timestamp};

use super::row::{credentials_row, environment_row, listed_row};
use crate::Store;
use crate::expression_attributes::Changes;
use crate::keys::Key;
use crate::rows::{Fields, attribute, fields, n, s};
use crate::transaction::{ExistingItem, PRESENT, Refusal, Transaction};

#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// The row must be as it was when the change was decided.
    Row,
    Name,
    Count,
    /// Credentials that an environment gets.
    Credentials,
    /// Credentials that lose an environment.
    Released,
    /// Credentials that no environment may use.
    Unused,
}

type Changing<'a> = Transaction<'a, Part>;

#[async_trait(?Send)]
impl ChangeEnvironments for Store {
    async fn change_environment(
        &self,
        scope: Option<&Scope>,
        change: &EnvironmentChange,
        audit: &AuditRecord,
    ) -> Result<()> {
        let mut transaction = self.transaction();
        if let Some(scope) = scope {
            check(scope, workspace_of(change))?;
            transaction.still_member(scope);
        }
        match change {
            EnvironmentChange::CreateCredentials(new) => create_credentials(&mut transaction, new)?,
            EnvironmentChange::UpdateCredentials { from, to } => {
                update_credentials(&mut transaction, from, to)?;
            }
            EnvironmentChange::DeleteCredentials(old) => delete_credentials(&mut transaction, old)?,
            EnvironmentChange::CreateEnvironment(new) => create_environment(&mut transaction, new)?,
            EnvironmentChange::UpdateEnvironment { from, to } => {
                update_environment(&mut transaction, from, to)?;
            }
            EnvironmentChange::DeleteEnvironment { environment, listed_until } => {
                delete_environment(&mut transaction, environment, *listed_until)?;
            }
        }
        transaction.audited(audit)?;
        transaction.send().await?.map_err(|refusal| refused(&refusal, change))
    }
}

/// Checks that the scope allows changes in this workspace.
fn check(scope: &Scope, workspace: WorkspaceId) -> Result<()> {
    let owner = SecretOwner::Workspace(workspace);
    match scope.permission() == Permission::AdministerWorkspace && scope.owner() == owner {
        true => Ok(()),
        false => Err(Error::bug("an environment written outside its scope")),
    }
}

fn workspace_of(change: &EnvironmentChange) -> WorkspaceId {
    match change {
        EnvironmentChange::CreateCredentials(one)
        | EnvironmentChange::UpdateCredentials { from: one, .. }
        | EnvironmentChange::DeleteCredentials(one) => one.workspace,
        EnvironmentChange::CreateEnvironment(one)
        | EnvironmentChange::UpdateEnvironment { from: one, .. }
        | EnvironmentChange::DeleteEnvironment { environment: one, .. } => one.workspace,
    }
}

fn create_credentials(transaction: &mut Changing<'_>, new: &StoredCredentials) -> Result<()> {
    transaction.put_new(Part::Row, credentials_row(new)?);
    let guard = Key::credentials_name(new.workspace, &new.name).with([("id", s(new.id.as_str()))]);
    transaction.put_new(Part::Name, guard);
    count(transaction, new.workspace, CREDENTIALS_COUNT, 1);
    Ok(())
}

fn update_credentials(
    transaction: &mut Changing<'_>,
    from: &StoredCredentials,
    to: &StoredCredentials,
) -> Result<()> {
    let keys =
        [Key::credentials_name(from.workspace, &from.name), Key::credentials_name(to.workspace, &to.name)];
    rename(transaction, keys, to.id.as_str());
    let moved = from.role != to.role;
    let mut changes = changes(fields(to)?, &["name", "description", "role", "updatedAt"]);
    let mut conditions = vec![changes.attributes().equals("updatedAt", attribute(&from.updated)?)];
    if moved {
        conditions.push(unused(&mut changes));
    }
    let part = if moved { Part::Unused } else { Part::Row };
    transaction.change_if(
        part,
        Key::credentials(from.workspace, &from.id),
        changes,
        &conditions.join(" AND "),
    );
    Ok(())
}

fn delete_credentials(transaction: &mut Changing<'_>, old: &StoredCredentials) -> Result<()> {
    let mut changes = Changes::default();
    let conditions =
        [changes.attributes().equals("updatedAt", attribute(&old.updated)?), unused(&mut changes)]
            .join(" AND ");
    let (_, attributes) = changes.expression();
    transaction.delete_if(Part::Unused, Key::credentials(old.workspace, &old.id), &conditions, attributes);
    transaction.delete(Part::Row, Key::credentials_name(old.workspace, &old.name));
    count(transaction, old.workspace, CREDENTIALS_COUNT, -1);
    Ok(())
}

fn create_environment(transaction: &mut Changing<'_>, new: &StoredEnvironment) -> Result<()> {
    let id = &new.environment.id;
    transaction.put_new(Part::Row, environment_row(new)?);
    transaction.put_new(Part::Row, listed_row(&listed(new, None))?);
    let guard = Key::environment_name(new.workspace, &new.name).with([("id", s(id.as_str()))]);
    transaction.put_new(Part::Name, guard);
    count(transaction, new.workspace, ENVIRONMENT_COUNT, 1);
    take_credentials(transaction, new)
}

fn update_environment(
    transaction: &mut Changing<'_>,
    from: &StoredEnvironment,
    to: &StoredEnvironment,
) -> Result<()> {
    let id = &to.environment.id;
    let keys =
        [Key::environment_name(from.workspace, &from.name), Key::environment_name(to.workspace, &to.name)];
    rename(transaction, keys, id.as_str());
    let changed =
        ["name", "description", "credentials", "role", "externalId", "provedAt", "failure", "updatedAt"];
    let mut changes = changes(fields(to)?, &changed);
    let conditions = [
        changes.attributes().equals("updatedAt", attribute(&from.updated)?),
        changes.attributes().equals("provedAt", attribute(&from.proved)?),
    ];
    transaction.change_if(
        Part::Row,
        Key::environment(from.workspace, id),
        changes,
        &conditions.join(" AND "),
    );
    if from.credentials != to.credentials {
        transaction.put(Part::Row, listed_row(&listed(to, None))?);
        release_credentials(transaction, from.workspace, &from.credentials);
        take_credentials(transaction, to)?;
    }
    Ok(())
}

fn delete_environment(
    transaction: &mut Changing<'_>,
    old: &StoredEnvironment,
    listed_until: Timestamp,
) -> Result<()> {
    let mut changes = Changes::default();
    let condition = changes.attributes().equals("updatedAt", attribute(&old.updated)?);
    let (_, attributes) = changes.expression();
    transaction.delete_if(
        Part::Row,
        Key::environment(old.workspace, &old.environment.id),
        &condition,
        attributes,
    );
    transaction.delete(Part::Row, Key::environment_name(old.workspace, &old.name));
    transaction.put(Part::Row, listed_row(&listed(old, Some(listed_until)))?);
    count(transaction, old.workspace, ENVIRONMENT_COUNT, -1);
    release_credentials(transaction, old.workspace, &old.credentials);
    Ok(())
}

fn listed(stored: &StoredEnvironment, until: Option<Timestamp>) -> ListedEnvironment {
    ListedEnvironment {
        environment: stored.environment.clone(),
        workspace: stored.workspace,
        kept_until: until.map(Timestamp::as_second),
    }
}

/// Sets these attributes and keeps the others.
fn changes(mut fields: Fields, changed: &[&str]) -> Changes {
    fields.retain(|name, _| changed.contains(&name.as_str()));
    let mut changes = Changes::default();
    changes.set_or_remove(fields);
    changes
}

/// Moves the guard of a name.
fn rename(transaction: &mut Changing<'_>, [from, to]: [Key; 2], id: &str) {
    if from != to {
        transaction.delete(Part::Row, from);
        transaction.put_new(Part::Name, to.with([("id", s(id))]));
    }
}

/// Changes the number of a workspace's environments or credentials, up to the limit.
fn count(transaction: &mut Changing<'_>, workspace: WorkspaceId, counter: &str, change: i64) {
    let mut changes = Changes::default();
    changes.add(counter, n(change));
    let name = changes.attributes().name(counter);
    let room = changes.attributes().value(n(i64::from(MAX_ENVIRONMENTS) - change));
    let condition = format!("attribute_not_exists({name}) OR {name} <= {room}");
    transaction.change_if(Part::Count, Key::environment_count(workspace), changes, &condition);
}

/// Adds an environment to its credentials, whose role must be the proved one.
fn take_credentials(transaction: &mut Changing<'_>, environment: &StoredEnvironment) -> Result<()> {
    let mut changes = Changes::default();
    changes.add(USES, n(1));
    let proved = &environment.environment;
    let conditions = [
        changes.attributes().equals("role", attribute(&proved.role)?),
        changes.attributes().equals("externalId", attribute(&proved.external_id)?),
    ];
    let key = Key::credentials(environment.workspace, &environment.credentials);
    transaction.change_if(Part::Credentials, key, changes, &conditions.join(" AND "));
    Ok(())
}

fn release_credentials(transaction: &mut Changing<'_>, workspace: WorkspaceId, id: &CredentialsId) {
    let mut changes = Changes::default();
    changes.add(USES, n(-1));
    transaction.change_if(Part::Released, Key::credentials(workspace, id), changes, PRESENT);
}

/// The condition that no environment uses the credentials.
fn unused(changes: &mut Changes) -> String {
    let uses = changes.attributes().name(USES);
    let none = changes.attributes().value(n(0));
    format!("(attribute_not_exists({uses}) OR {uses} = {none})")
}

/// If a row has changed, another writer was faster: the caller decides again from the current rows.
fn refused(refusal: &Refusal<Part>, change: &EnvironmentChange) -> Error {
    if let Err(error) = refusal.unless_contended() {
        return error;
    }
    let of_credentials = matches!(
        change,
        EnvironmentChange::CreateCredentials(_)
            | EnvironmentChange::UpdateCredentials { .. }
            | EnvironmentChange::DeleteCredentials(_)
    );
    if refusal.of(&Part::Name).is_some() {
        return if of_credentials { credentials::taken() } else { compute_envs::taken() };
    }
    if refusal.of(&Part::Count).is_some() {
        return if of_credentials { credentials::too_many() } else { compute_envs::too_many() };
    }
    if let Some(ExistingItem::Row(row)) = refusal.of(&Part::Unused)
        && row.some_field::<i64>(USES).is_ok_and(|uses| uses.unwrap_or(0) > 0)
    {
        return Error::Conflict(
            "A compute environment uses these credentials. Delete it first, or create other credentials."
                .into(),
        );
    }
    Error::Contended
}

/// The number of environments that use the credentials.
const USES: &str = "environmentCount";
const CREDENTIALS_COUNT: &str = "credentialsCount";
const ENVIRONMENT_COUNT: &str = "environmentCount";

#[cfg(test)]
mod tests;
