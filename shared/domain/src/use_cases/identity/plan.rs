//! Derives changes from a declaration and the current state. Pure: it reads and writes nothing.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::apply::{Applied, AppliedOrganization, AppliedToken, AppliedUser, AppliedWorkspace};
use super::document::{DeclaredOrganization, DeclaredToken, DeclaredUser, DeclaredWorkspace, Document};
use super::problems::Problems;
use super::record_of;
use super::removal::removal;
use super::workspaces::deletion;
use crate::Result;
use crate::audit::AuditRecord;
use crate::context::Context;
use crate::identity::{Change, Login, Organization, StoredToken, User, Workspace, fold};
use crate::ids::{OrgId, TokenId, UserId, WorkspaceId};
use crate::platform::Platform;
use crate::ports::MAX_ROWS;
use crate::role::Role;
use crate::token::TokenKey;
use crate::token_scope::TokenScope;

/// A workspace with its participants.
pub(super) type KnownWorkspace = (Workspace, Vec<(User, Role)>);

/// The current state of everything that a document names. Names are case-folded.
#[derive(Default)]
pub(super) struct Known {
    /// Users by name, with their tokens.
    pub(super) users: HashMap<String, (User, Vec<StoredToken>)>,
    /// The roles of users whose status is declared or who are removed.
    pub(super) memberships: HashMap<UserId, Vec<(WorkspaceId, Role)>>,
    /// The workspaces of which a user who is removed is the last owner.
    pub(super) last_owner_of: HashMap<UserId, Vec<String>>,
    /// Removed users who have logins of the document.
    pub(super) removed: HashSet<UserId>,
    /// E-mail addresses that are already used.
    pub(super) emails: HashSet<String>,
    /// The users of the document's logins.
    pub(super) logins: HashMap<Login, UserId>,
    /// Organizations by name.
    pub(super) organizations: HashMap<String, Organization>,
    /// Workspaces by organization and name, with their participants.
    pub(super) workspaces: HashMap<(OrgId, String), KnownWorkspace>,
}

/// The planned changes, in order, and the resulting state.
pub(super) struct Plan {
    /// The transactions.
    pub(super) batches: Vec<Batch>,
    /// The keys of the tokens that the batches create.
    pub(super) keys: HashMap<TokenId, TokenKey>,
    /// The state of the document's entities after all changes.
    pub(super) applied: Applied,
}

/// Changes that take effect together.
#[derive(Default)]
pub(super) struct Batch {
    /// The changes.
    pub(super) changes: Vec<Change>,
    /// Their audit records.
    pub(super) audit: Vec<AuditRecord>,
}

impl Batch {
    fn rows(&self) -> usize {
        self.changes.iter().map(Change::rows).sum()
    }
}

/// Plans the changes of a document. [`crate::Error::Invalid`] lists every problem.
pub(super) fn plan(document: &Document, known: &Known, context: &Context<'_>) -> Result<Plan> {
    let mut planner = Planner {
        known,
        context,
        prune: document.prune,
        problems: Problems::default(),
        people: HashMap::new(),
        first: Vec::new(),
        later: Vec::new(),
        last: Vec::new(),
        keys: HashMap::new(),
        disabled: HashMap::new(),
        leaving: HashSet::new(),
    };
    for (folded, (user, _)) in &known.users {
        planner.people.insert(folded.clone(), user.id);
    }
    let (removed, declared): (Vec<_>, Vec<_>) =
        document.users.iter().enumerate().partition(|(_, user)| user.removed);
    for (index, user) in removed {
        planner.remove(user, &format!("users[{index}]"));
    }
    let mut users = planner.users(&declared);
    let organizations = planner.organizations(&document.organizations);
    // Last, because a token can be limited to a workspace that the document creates.
    planner.tokens(&declared, &mut users, &organizations);
    planner.problems.into_result()?;
    let units = [planner.first, planner.later, planner.last].concat();
    Ok(Plan {
        batches: pack(units, context),
        keys: planner.keys,
        applied: Applied { users, organizations, changes: 0 },
    })
}

/// Packs units of changes into transactions. A unit is never split.
fn pack(units: Vec<Vec<Change>>, context: &Context<'_>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for unit in units {
        let rows: usize = unit.iter().map(Change::rows).sum();
        let audit: Vec<_> = unit.iter().filter_map(|change| record_of(change, None, context)).collect();
        if batches.last().is_none_or(|batch| batch.rows() + rows > MAX_ROWS) {
            batches.push(Batch::default());
        }
        if let Some(batch) = batches.last_mut() {
            batch.changes.extend(unit);
            batch.audit.extend(audit);
        }
    }
    batches
}

/// Returns the changes that disable or enable the user, as many as the workspaces need.
pub(super) fn set_disabled(
    user: &User,
    disabled: Option<Timestamp>,
    workspaces: &[WorkspaceId],
) -> impl Iterator<Item = Change> {
    let (user, grants) = (user.id, user.grants);
    let none = workspaces.is_empty().then(|| &workspaces[..0]);
    workspaces.chunks(MOST_MEMBERSHIPS).chain(none).map(move |workspaces| Change::SetDisabled {
        user,
        grants,
        disabled,
        workspaces: workspaces.to_vec(),
    })
}

struct Planner<'a> {
    known: &'a Known,
    context: &'a Context<'a>,
    prune: bool,
    problems: Problems,
    /// Every user who can be a participant, by folded name.
    people: HashMap<String, UserId>,
    /// Additions: users, workspaces, participants, owners.
    first: Vec<Vec<Change>>,
    /// Removals of owners, after every new owner is added.
    later: Vec<Vec<Change>>,
    /// Tokens. Their keys are shown only once, so no change that could fail comes after them.
    last: Vec<Vec<Change>>,
    keys: HashMap<TokenId, TokenKey>,
    /// The users that the document disables (true) or enables (false).
    disabled: HashMap<UserId, bool>,
    /// The users that the document removes.
    leaving: HashSet<UserId>,
}

impl Planner<'_> {
    fn users(&mut self, declared: &[(usize, &DeclaredUser)]) -> Vec<AppliedUser> {
        declared.iter().map(|(index, user)| self.user(user, &format!("users[{index}]"))).collect()
    }

    /// Removes a user, unless a workspace would be left without an owner.
    fn remove(&mut self, declared: &DeclaredUser, place: &str) {
        let folded = fold(&declared.user_name);
        let Some((user, _)) = self.known.users.get(&folded) else {
            return;
        };
        self.check_email(user, declared, place);
        for workspace in self.known.last_owner_of.get(&user.id).into_iter().flatten() {
            self.problems.add(place, &format!("the user is the last owner of {workspace}. {OTHER_OWNER}"));
        }
        self.people.remove(&folded);
        self.leaving.insert(user.id);
        let memberships = self.known.memberships.get(&user.id).map_or(&[][..], Vec::as_slice);
        self.later.extend(removal(user, memberships, self.context).into_iter().map(|change| vec![change]));
    }

    fn check_email(&mut self, user: &User, declared: &DeclaredUser, place: &str) {
        if fold(&user.email) != fold(&declared.email) {
            let place = format!("{place}.email");
            self.problems
                .add(&place, "the user has a different e-mail address, which a document cannot change.");
        }
    }

    fn user(&mut self, declared: &DeclaredUser, place: &str) -> AppliedUser {
        let folded = fold(&declared.user_name);
        let (id, user_name) = if let Some((user, _)) = self.known.users.get(&folded) {
            self.check_email(user, declared, place);
            self.set_disabled(user, declared.disabled);
            (user.id, user.user_name.clone())
        } else {
            if self.known.emails.contains(&fold(&declared.email)) {
                self.problems.add(&format!("{place}.email"), "another user has this e-mail address.");
            }
            let user = User {
                id: UserId::make_random(self.context.randomness),
                user_name: declared.user_name.clone(),
                email: declared.email.clone(),
                created: self.context.now,
                disabled: declared.disabled.filter(|it| *it).map(|_| self.context.now),
                grants: 0,
                removed: None,
            };
            let created = (user.id, user.user_name.clone());
            self.people.insert(folded, user.id);
            self.first.push(vec![Change::CreateUser(user, None)]);
            created
        };
        self.logins(id, declared, place);
        AppliedUser { id, user_name, tokens: Vec::new() }
    }

    fn tokens(
        &mut self,
        declared: &[(usize, &DeclaredUser)],
        users: &mut [AppliedUser],
        organizations: &[AppliedOrganization],
    ) {
        for ((index, declared), user) in declared.iter().zip(users) {
            let known = self.known.users.get(&fold(&declared.user_name));
            let stored = known.map_or(&[][..], |(_, tokens)| tokens);
            for (token, declared) in declared.tokens.iter().enumerate() {
                let place = format!("users[{index}].tokens[{token}]");
                let workspace = self.workspace_of_token(declared, organizations, &place);
                let applied = self.token(user.id, declared, workspace, stored, &place);
                user.tokens.extend(applied);
            }
        }
    }

    fn workspace_of_token(
        &mut self,
        declared: &DeclaredToken,
        organizations: &[AppliedOrganization],
        place: &str,
    ) -> Option<WorkspaceId> {
        let (organization, name) = declared.workspace.as_ref()?;
        let found = organizations
            .iter()
            .filter(|it| fold(&it.name) == fold(organization))
            .flat_map(|it| &it.workspaces)
            .find(|it| fold(&it.name) == fold(name));
        if found.is_none() {
            self.problems
                .add(&format!("{place}.workspace"), "the document must declare this workspace, too.");
        }
        found.map(|workspace| workspace.id)
    }

    fn logins(&mut self, user: UserId, declared: &DeclaredUser, place: &str) {
        for (index, login) in declared.logins.iter().enumerate() {
            match self.known.logins.get(login) {
                Some(known) if *known == user => {}
                Some(known) if !self.known.removed.contains(known) => {
                    self.problems.add(&format!("{place}.logins[{index}]"), "another user has this login.");
                }
                from => self.first.push(vec![Change::AddLogin(user, login.clone(), from.copied())]),
            }
        }
    }

    /// Disables or enables the user if the document says so.
    fn set_disabled(&mut self, user: &User, disabled: Option<bool>) {
        let Some(disabled) = disabled else {
            return;
        };
        let memberships = self.known.memberships.get(&user.id).into_iter().flatten();
        let workspaces: Vec<_> = memberships.map(|(workspace, _)| *workspace).collect();
        // An earlier call may have stopped between two transactions.
        if disabled == user.disabled.is_some() && workspaces.len() <= MOST_MEMBERSHIPS {
            return;
        }
        let disabled = disabled.then_some(self.context.now);
        self.disabled.insert(user.id, disabled.is_some());
        self.first.extend(set_disabled(user, disabled, &workspaces).map(|change| vec![change]));
    }

    /// Whether the user is disabled once the document is applied.
    fn is_disabled(&self, user: UserId) -> bool {
        let stored =
            || self.known.users.values().any(|(known, _)| known.id == user && known.disabled.is_some());
        self.disabled.get(&user).copied().unwrap_or_else(stored)
    }

    fn token(
        &mut self,
        user: UserId,
        declared: &DeclaredToken,
        workspace: Option<WorkspaceId>,
        stored: &[StoredToken],
        place: &str,
    ) -> Option<AppliedToken> {
        let found = stored.iter().find(|token| fold(&token.name) == fold(&declared.name));
        if declared.revoked {
            if let Some(token) = found {
                self.last.push(vec![Change::RevokeToken(token.clone())]);
            }
            return None;
        }
        if let Some(token) = found {
            if declared.scope.is_some_and(|scope| scope != token.scope)
                || workspace.is_some() && workspace != token.workspace
            {
                self.problems.add(place, OTHER_LIMITS);
            }
            return Some(AppliedToken { id: token.id, name: token.name.clone(), access_key: None });
        }
        if declared.expires.is_some_and(|expires| expires <= self.context.now) {
            self.problems.add(&format!("{place}.expires"), "a new token must expire in the future.");
        }
        if self.is_disabled(user) {
            self.problems.add(place, NO_TOKEN);
        }
        let key = TokenKey::make_random(self.context.randomness);
        let token = StoredToken {
            id: TokenId::make_random(self.context.randomness),
            user,
            name: declared.name.clone(),
            hash: key.hash(),
            created: self.context.now,
            last_used: None,
            expires: declared.expires,
            workspace,
            scope: declared.scope.unwrap_or(TokenScope::All),
            created_with: None,
        };
        let applied = AppliedToken { id: token.id, name: token.name.clone(), access_key: None };
        self.keys.insert(token.id, key);
        self.last.push(vec![Change::CreateToken(token)]);
        Some(applied)
    }

    fn organizations(&mut self, declared: &[DeclaredOrganization]) -> Vec<AppliedOrganization> {
        declared
            .iter()
            .enumerate()
            .filter_map(|(index, organization)| {
                self.organization(organization, &format!("organizations[{index}]"))
            })
            .collect()
    }

    fn organization(&mut self, declared: &DeclaredOrganization, place: &str) -> Option<AppliedOrganization> {
        let known = self.known.organizations.get(&fold(&declared.name)).cloned();
        let is_new = known.is_none();
        let organization = known.unwrap_or_else(|| Organization {
            id: OrgId::make_random(self.context.randomness),
            name: declared.name.clone(),
        });
        let mut new = is_new.then(|| organization.clone());
        let mut workspaces = Vec::new();
        for (index, workspace) in declared.workspaces.iter().enumerate() {
            let place = format!("{place}.workspaces[{index}]");
            let key = (organization.id, fold(&workspace.name));
            match (self.known.workspaces.get(&key), workspace.deleted) {
                (None, true) => {}
                (Some((known, participants)), true) => {
                    let changes = deletion(known.clone(), participants, None, self.context);
                    self.later.extend(changes.into_iter().map(|change| vec![change]));
                }
                (Some((known, participants)), false) => {
                    workspaces.push(self.workspace(workspace, known, participants, &place));
                }
                (None, false) => {
                    workspaces.push(self.new_workspace(workspace, &organization, new.take(), &place));
                }
            }
        }
        // Without a workspace, a new organization is not created.
        (new.is_none()).then_some(AppliedOrganization {
            id: organization.id,
            name: organization.name,
            workspaces,
        })
    }

    fn new_workspace(
        &mut self,
        declared: &DeclaredWorkspace,
        organization: &Organization,
        new_organization: Option<Organization>,
        place: &str,
    ) -> AppliedWorkspace {
        let workspace = Workspace {
            id: WorkspaceId::make_random(self.context.randomness),
            org: organization.id,
            org_name: organization.name.clone(),
            name: declared.name.clone(),
            full_name: declared.full_name.clone().unwrap_or_else(|| declared.name.clone()),
            platforms: declared.platforms.clone().unwrap_or_else(|| vec![Platform::AwsBatch]),
            created: self.context.now,
            grants: 0,
            deleted: None,
        };
        let applied = AppliedWorkspace { id: workspace.id, name: workspace.name.clone() };
        let mut joins = self.role_changes(&workspace, declared, &[], place);
        // A workspace always has an owner, even between two transactions.
        match joins.iter().position(|join| join.owners() > 0) {
            Some(owner) => {
                let mut unit: Vec<_> = new_organization.map(Change::CreateOrganization).into_iter().collect();
                let owner = joins.remove(owner);
                unit.extend([Change::CreateWorkspace(workspace), owner]);
                self.first.push(unit);
                self.first.extend(joins.into_iter().map(|join| vec![join]));
            }
            None => self.problems.add(&format!("{place}.participants"), NO_OWNER),
        }
        applied
    }

    fn workspace(
        &mut self,
        declared: &DeclaredWorkspace,
        known: &Workspace,
        participants: &[(User, Role)],
        place: &str,
    ) -> AppliedWorkspace {
        if declared.full_name.as_ref().is_some_and(|name| *name != known.full_name) {
            let place = format!("{place}.fullName");
            self.problems
                .add(&place, "the workspace has a different full name, which a document cannot change.");
        }
        if let Some(platforms) =
            declared.platforms.as_ref().filter(|platforms| **platforms != known.platforms)
        {
            self.first.push(vec![Change::SetPlatforms(known.clone(), platforms.clone())]);
        }
        let changes = self.role_changes(known, declared, participants, place);
        if !self.keeps_an_owner(participants, &changes) {
            self.problems.add(&format!("{place}.participants"), NO_OWNER);
        }
        for change in changes {
            let list = if change.owners() < 0 { &mut self.later } else { &mut self.first };
            list.push(vec![change]);
        }
        AppliedWorkspace { id: known.id, name: known.name.clone() }
    }

    /// Whether an owner who is not disabled is left.
    fn keeps_an_owner(&self, participants: &[(User, Role)], changes: &[Change]) -> bool {
        let mut roles: HashMap<UserId, Role> =
            participants.iter().map(|(user, role)| (user.id, *role)).collect();
        for change in changes {
            if let Change::SetRole { user, to, .. } = change {
                match to {
                    Some(role) => roles.insert(*user, *role),
                    None => roles.remove(user),
                };
            }
        }
        let stored: HashMap<_, _> =
            participants.iter().map(|(user, _)| (user.id, user.disabled.is_some())).collect();
        let is_disabled = |user: &UserId| {
            self.disabled.get(user).or(stored.get(user)).copied().unwrap_or_else(|| self.is_disabled(*user))
        };
        let is_left = |user: &UserId| !self.leaving.contains(user) && !is_disabled(user);
        roles.iter().any(|(user, role)| *role == Role::Owner && is_left(user))
    }

    fn role_changes(
        &mut self,
        workspace: &Workspace,
        declared: &DeclaredWorkspace,
        present: &[(User, Role)],
        place: &str,
    ) -> Vec<Change> {
        let mut remaining: HashMap<UserId, Role> =
            present.iter().map(|(user, role)| (user.id, *role)).collect();
        let mut changes = Vec::new();
        let workspace = workspace.id;
        for (index, participant) in declared.participants.iter().enumerate() {
            let Some(user) = self.people.get(&fold(&participant.user)).copied() else {
                let place = format!("{place}.participants[{index}].user");
                self.problems.add(&place, "the user does not exist: declare it under users.");
                continue;
            };
            let (from, to) = (remaining.remove(&user), Some(participant.role));
            if from.is_none() && self.is_disabled(user) {
                let place = format!("{place}.participants[{index}].user");
                self.problems.add(&place, "the user is disabled.");
            }
            if from != to {
                changes.push(Change::SetRole { workspace, user, from, to });
            }
        }
        if self.prune {
            let stays = |user: &UserId| !self.leaving.contains(user);
            let mut removed: Vec<_> = remaining.into_iter().filter(|(user, _)| stays(user)).collect();
            removed.sort_unstable();
            let leave = |(user, role)| Change::SetRole { workspace, user, from: Some(role), to: None };
            changes.extend(removed.into_iter().map(leave));
        }
        changes
    }
}

const OTHER_LIMITS: &str =
    "the token has another scope or workspace, which a document cannot change. Revoke it first.";
/// The memberships that one transaction can mark, with the user and the audit record.
pub(super) const MOST_MEMBERSHIPS: usize = 90;

const NO_TOKEN: &str = "a disabled user cannot have a new token.";
const NO_OWNER: &str = "a workspace must have at least one owner who is not disabled.";
const OTHER_OWNER: &str = "Make another participant an owner, or delete the workspace, first.";

#[cfg(test)]
mod tests;
