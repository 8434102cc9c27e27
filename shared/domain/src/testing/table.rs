//! The table in memory. It stores what it receives and checks revisions and versions. It does not
//! replace the tests of the real store.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;

use super::Faults;
use crate::audit::{AuditAction, AuditRecord};
use crate::environment::{
    CredentialsId, EnvironmentId, ListedEnvironment, StoredCredentials, StoredEnvironment,
};
use crate::expiry::{Expiring, ExpiringKey, ExpiringKeys};
use crate::idempotency::{Idempotency, IdempotencyRecord, IdempotentResult};
use crate::identity::{Change, Login, Organization, RequiredMembership, StoredToken, User, Workspace, fold};
use crate::ids::{OrgId, RunId, SecretId, TokenId, UserId, WorkspaceId};
use crate::name::SecretName;
use crate::owner::{Removed, Scope, SecretOwner};
use crate::ports::{
    ChangeIdentity, CreateSecrets, Created, DeleteSecrets, FindDueRuns, FindExpiring, FindRemoved,
    FinishRemovals, HeadJobs, IndexExpiry, LaunchRuns, ListLiveRuns, ListRuns, ListTargets, LiveRun,
    LiveRuns, ReadAudit, ReadEnvironments, ReadIdentity, ReadLogins, ReadMembership, ReadRevocations,
    ReadRuns, ReadSealedValues, ReadSecrets, ReadTarget, ReadTokens, ReadUserRoles, ReadUserStatus,
    Reconcile, RegisterLogins, ReserveCreations, SaveRuns, UpdateSecrets, UpsertSecrets,
};
use crate::reservation::{Slot, SlotRequest};
use crate::role::Role;
use crate::run::{HeadJob, JobLocation, Lifecycle, Run, State};
use crate::secret::{MAX_IN_SCOPE, OldVersion, SealedValue, Secret, SecretWrite};
use crate::{Error, Result};

/// The account, the region and the id of a job.
type JobKey = (Option<String>, String, String);

fn job_key(job: &JobLocation<'_>) -> JobKey {
    (job.account.map(str::to_owned), job.region.to_owned(), job.job_id.to_owned())
}

#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) users: BTreeMap<UserId, User>,
    pub(crate) logins: Vec<(Login, UserId)>,
    pub(crate) tokens: BTreeMap<TokenId, StoredToken>,
    pub(crate) organizations: Vec<Organization>,
    pub(crate) workspaces: BTreeMap<WorkspaceId, Workspace>,
    pub(crate) roles: BTreeMap<(WorkspaceId, UserId), Role>,
    pub(crate) secrets: BTreeMap<(SecretOwner, SecretId), Secret>,
    pub(crate) sealed: BTreeMap<(SecretOwner, SecretId), SealedValue>,
    pub(crate) history: Vec<(SecretId, OldVersion)>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    /// When the index lists runs that were put off.
    pub(crate) postpone_inspection: BTreeMap<RunId, Timestamp>,
    pub(crate) head_jobs: BTreeMap<JobKey, RunId>,
    pub(crate) idempotency: BTreeMap<String, IdempotencyRecord>,
    pub(crate) environments: BTreeMap<(WorkspaceId, EnvironmentId), StoredEnvironment>,
    pub(crate) credentials: BTreeMap<(WorkspaceId, CredentialsId), StoredCredentials>,
    pub(crate) listed_environments: Vec<ListedEnvironment>,
    pub(crate) audit: Vec<AuditRecord>,
    /// The deleted workspaces of which something may be left.
    pub(crate) removed: BTreeMap<SecretOwner, Timestamp>,
    /// Each call that changed identity: its changes and the membership it required.
    pub(crate) changes: Vec<(Vec<Change>, Option<RequiredMembership>)>,
    /// The requested slots.
    pub(crate) slot_requests: Vec<SlotRequest>,
    /// The next slot; by default one that starts at once.
    pub(crate) next_slot: Option<Slot>,
    /// Until when the list of all environments keeps the deleted ones.
    pub(crate) listed_until: BTreeMap<EnvironmentId, Timestamp>,
    /// The secrets and tokens that the index of expiries lists, with the time that it has.
    pub(crate) expiring: Vec<(Timestamp, ExpiringKey)>,
    /// Secrets and tokens whose rows cannot be read.
    pub(crate) unreadable: BTreeSet<ExpiringKey>,
    /// The recorded uses of secrets.
    pub(crate) used: Vec<(SecretOwner, SecretId, Timestamp)>,
}

/// A write of another caller.
type OtherWrite = Box<dyn FnOnce(&mut Rows)>;

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) faults: Faults,
    pub(crate) rows: RefCell<Rows>,
    others: RefCell<Vec<(&'static str, OtherWrite)>>,
}

impl Table {
    pub(crate) fn put_member(&self, workspace: Workspace, user: UserId, role: Role) {
        let mut rows = self.rows.borrow_mut();
        rows.roles.insert((workspace.id, user), role);
        rows.workspaces.insert(workspace.id, workspace);
    }

    pub(crate) fn put_secret(&self, secret: Secret, sealed: SealedValue) {
        let mut rows = self.rows.borrow_mut();
        rows.sealed.insert((secret.owner, secret.id), sealed);
        rows.secrets.insert((secret.owner, secret.id), secret);
    }

    pub(crate) fn put_run(&self, run: Run) {
        let mut rows = self.rows.borrow_mut();
        if let Some(job) = &run.lifecycle.head_job {
            rows.head_jobs.insert(job_key(&job.location()), run.id.clone());
        }
        rows.runs.insert(run.id.clone(), run);
    }

    pub(crate) fn stored_run(&self, id: &RunId) -> Run {
        self.rows.borrow().runs[id].clone()
    }

    /// All audit records, in order.
    pub(crate) fn audit(&self) -> Vec<AuditRecord> {
        self.rows.borrow().audit.clone()
    }

    /// All audited actions, in order.
    pub(crate) fn actions(&self) -> Vec<AuditAction> {
        self.rows.borrow().audit.iter().map(|record| record.action).collect()
    }

    /// Lets another caller write just before the next call of `operation`.
    pub(crate) fn before(&self, operation: &'static str, write: impl FnOnce(&mut Rows) + 'static) {
        self.others.borrow_mut().push((operation, Box::new(write)));
    }

    fn let_others_write(&self, operation: &str) {
        let mut others = self.others.borrow_mut();
        if let Some(index) = others.iter().position(|(awaited, _)| *awaited == operation) {
            let (_, write) = others.remove(index);
            write(&mut self.rows.borrow_mut());
        }
    }

    pub(super) fn read<T>(&self, operation: &'static str, read: impl FnOnce(&Rows) -> T) -> Result<T> {
        self.let_others_write(operation);
        self.faults.call(operation, || Ok(read(&self.rows.borrow())))
    }

    pub(super) fn write<T>(
        &self,
        operation: &'static str,
        write: impl FnOnce(&mut Rows) -> Result<T>,
    ) -> Result<T> {
        self.let_others_write(operation);
        self.faults.call(operation, || write(&mut self.rows.borrow_mut()))
    }
}

impl Rows {
    fn enabled_role(&self, workspace: WorkspaceId, user: UserId) -> Option<Role> {
        let disabled = self.users.get(&user).is_some_and(|user| user.disabled.is_some());
        self.roles.get(&(workspace, user)).copied().filter(|_| !disabled)
    }

    fn save(&mut self, run: &Run, lifecycle: &Lifecycle) -> Result<()> {
        let stored = self.runs.get_mut(&run.id).ok_or(Error::VersionConflict)?;
        if lifecycle.revision != stored.lifecycle.revision + 1 {
            return Err(Error::VersionConflict);
        }
        if stored.lifecycle.due != lifecycle.due {
            self.postpone_inspection.remove(&run.id);
        }
        stored.lifecycle = lifecycle.clone();
        Ok(())
    }

    /// When the index lists a run.
    fn listed_at(&self, run: &Run) -> Option<Timestamp> {
        run.lifecycle.due.map(|due| self.postpone_inspection.get(&run.id).copied().unwrap_or(due))
    }

    fn named(&self, owner: SecretOwner, name: &SecretName) -> Option<&Secret> {
        let mut of_scope = self.secrets.values().filter(|secret| secret.owner == owner);
        of_scope.find(|secret| secret.name.folded() == name.folded())
    }

    fn of_version(&self, secret: &Secret, version: u64) -> Result<()> {
        let stored = self.secrets.get(&(secret.owner, secret.id)).ok_or(Error::NotFound)?;
        if stored.version == version { Ok(()) } else { Err(Error::VersionConflict) }
    }
}

#[async_trait(?Send)]
impl ReadMembership for Table {
    async fn role(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>> {
        self.read("role", |rows| rows.enabled_role(workspace, user))
    }

    async fn role_and_workspace(
        &self,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<Option<(Role, Workspace)>> {
        self.read("role_and_workspace", |rows| {
            let role = rows.enabled_role(workspace, user)?;
            Some((role, rows.workspaces.get(&workspace)?.clone()))
        })
    }
}

#[async_trait(?Send)]
impl ReadTarget for Table {
    async fn role_workspace_and_environment(
        &self,
        workspace: WorkspaceId,
        user: UserId,
        id: &EnvironmentId,
    ) -> Result<Option<(Role, Workspace, Option<StoredEnvironment>)>> {
        self.read("role_workspace_and_environment", |rows| {
            let role = rows.enabled_role(workspace, user)?;
            let environment = rows.environments.get(&(workspace, id.clone())).cloned();
            Some((role, rows.workspaces.get(&workspace)?.clone(), environment))
        })
    }
}

#[async_trait(?Send)]
impl ReadTokens for Table {
    async fn token(&self, id: TokenId) -> Result<Option<StoredToken>> {
        self.read("token", |rows| rows.tokens.get(&id).cloned())
    }

    async fn record_token_use(&self, id: TokenId, at: Timestamp) -> Result<()> {
        self.write("record_token_use", |rows| {
            rows.tokens.get_mut(&id).ok_or(Error::NotFound)?.last_used = Some(at);
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl ReadSecrets for Table {
    async fn secrets(&self, scope: &Scope) -> Result<Vec<Secret>> {
        let of_scope = |secret: &&Secret| secret.owner == scope.owner();
        self.read("secrets", |rows| rows.secrets.values().filter(of_scope).cloned().collect())
    }

    async fn secret(&self, scope: &Scope, id: SecretId) -> Result<Option<Secret>> {
        self.read("secret", |rows| rows.secrets.get(&(scope.owner(), id)).cloned())
    }

    async fn secret_named(&self, scope: &Scope, name: &SecretName) -> Result<Option<Secret>> {
        self.read("secret_named", |rows| rows.named(scope.owner(), name).cloned())
    }

    async fn history(&self, _: &Scope, id: SecretId) -> Result<Vec<OldVersion>> {
        self.read("history", |rows| {
            let of_secret = rows.history.iter().rev().filter(|(secret, _)| *secret == id);
            of_secret.map(|(_, old)| old.clone()).collect()
        })
    }
}

#[async_trait(?Send)]
impl CreateSecrets for Table {
    async fn create_secrets(
        &self,
        scope: &Scope,
        secrets: &[(Secret, SealedValue)],
        idempotency: Option<&Idempotency>,
        audit: &AuditRecord,
    ) -> Result<Created> {
        self.write("create_secrets", |rows| {
            if let Some(known) = idempotency.and_then(|key| rows.idempotency.get(key.key_hash())) {
                return Ok(Created::Replayed(known.clone()));
            }
            for (secret, sealed) in secrets {
                assert_eq!(secret.owner, scope.owner(), "a secret of another scope");
                rows.secrets.insert((secret.owner, secret.id), secret.clone());
                rows.sealed.insert((secret.owner, secret.id), sealed.clone());
            }
            if let Some(key) = idempotency {
                let made = match secrets {
                    [(secret, _)] => IdempotentResult::Secret(secret.id),
                    several => {
                        IdempotentResult::Secrets(several.iter().map(|(secret, _)| secret.id).collect())
                    }
                };
                rows.idempotency.insert(key.key_hash().to_owned(), key.record(made, audit.at));
            }
            rows.audit.push(audit.clone());
            Ok(Created::Created)
        })
    }
}

#[async_trait(?Send)]
impl UpdateSecrets for Table {
    async fn update_secret(
        &self,
        _: &Scope,
        secret: &Secret,
        sealed: &SealedValue,
        replaced: &OldVersion,
        audit: &AuditRecord,
    ) -> Result<()> {
        self.write("update_secret", |rows| {
            rows.of_version(secret, secret.version - 1)?;
            rows.secrets.insert((secret.owner, secret.id), secret.clone());
            rows.sealed.insert((secret.owner, secret.id), sealed.clone());
            rows.history.push((secret.id, replaced.clone()));
            rows.audit.push(audit.clone());
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl UpsertSecrets for Table {
    async fn upsert_secrets(
        &self,
        scope: &Scope,
        writes: &[SecretWrite],
        idempotency: Option<&Idempotency>,
        audit: &[AuditRecord],
    ) -> Result<Created> {
        self.write("upsert_secrets", |rows| {
            if let Some(known) = idempotency.and_then(|key| rows.idempotency.get(key.key_hash())) {
                return Ok(Created::Replayed(known.clone()));
            }
            let (updates, creations): (Vec<_>, Vec<_>) =
                writes.iter().partition(|write| write.replaced.is_some());
            for SecretWrite { secret, .. } in updates {
                rows.of_version(secret, secret.version - 1).map_err(|_| Error::VersionConflict)?;
            }
            for SecretWrite { secret, .. } in &creations {
                if rows.named(scope.owner(), &secret.name).is_some() {
                    return Err(Error::AlreadyExists { existing: secret.name.to_string() });
                }
            }
            let stored = rows.secrets.values().filter(|secret| secret.owner == scope.owner()).count();
            if !creations.is_empty() && stored + creations.len() > MAX_IN_SCOPE as usize {
                return Err(Error::LimitExceeded { limit: MAX_IN_SCOPE, what: "secrets" });
            }
            for SecretWrite { secret, sealed, replaced } in writes {
                assert_eq!(secret.owner, scope.owner(), "a secret of another scope");
                rows.secrets.insert((secret.owner, secret.id), secret.clone());
                rows.sealed.insert((secret.owner, secret.id), sealed.clone());
                rows.history.extend(replaced.clone().map(|replaced| (secret.id, replaced)));
            }
            if let (Some(key), Some(record)) = (idempotency, audit.first()) {
                let result = IdempotentResult::Upserted(writes.iter().map(SecretWrite::written).collect());
                rows.idempotency.insert(key.key_hash().to_owned(), key.record(result, record.at));
            }
            rows.audit.extend_from_slice(audit);
            Ok(Created::Created)
        })
    }
}

#[async_trait(?Send)]
impl DeleteSecrets for Table {
    async fn delete_secret(&self, _: &Scope, secret: &Secret, audit: &AuditRecord) -> Result<()> {
        self.write("delete_secret", |rows| {
            rows.of_version(secret, secret.version)?;
            rows.secrets.remove(&(secret.owner, secret.id));
            rows.sealed.remove(&(secret.owner, secret.id));
            rows.audit.push(audit.clone());
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl ReadSealedValues for Table {
    async fn sealed_values(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<SealedValue>> {
        self.read("sealed_values", |rows| {
            secrets.iter().filter_map(|key| rows.sealed.get(key).cloned()).collect()
        })
    }

    async fn current_secrets(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<Secret>> {
        self.read("current_secrets", |rows| {
            secrets.iter().filter_map(|key| rows.secrets.get(key).cloned()).collect()
        })
    }
}

#[async_trait(?Send)]
impl ReadAudit for Table {
    async fn audit(&self, scope: &Scope, month: &str, limit: u32) -> Result<Vec<AuditRecord>> {
        self.read("audit", |rows| {
            let of_month =
                rows.audit.iter().rev().filter(|record| {
                    record.scope == scope.owner() && record.at.to_string().starts_with(month)
                });
            of_month.take(limit as usize).cloned().collect()
        })
    }
}

#[async_trait(?Send)]
impl ReadRuns for Table {
    async fn run(&self, id: &RunId) -> Result<Option<Run>> {
        self.read("run", |rows| rows.runs.get(id).cloned())
    }
}

#[async_trait(?Send)]
impl ListRuns for Table {
    async fn runs(
        &self,
        scope: &Scope,
        state: Option<State>,
        limit: u32,
        after: Option<&RunId>,
    ) -> Result<Vec<Run>> {
        self.read("runs", |rows| {
            let of_scope = rows.runs.values().filter(|run| {
                run.scope() == scope.owner()
                    && state.is_none_or(|state| run.lifecycle.state == state)
                    && after.is_none_or(|after| run.id < *after)
            });
            of_scope.rev().take(limit as usize).cloned().collect()
        })
    }
}

#[async_trait(?Send)]
impl ListLiveRuns for Table {
    async fn live_runs(&self, scope: SecretOwner, which: LiveRuns, limit: u32) -> Result<Vec<LiveRun>> {
        self.read("live_runs", |rows| {
            let live = rows.runs.values().filter(|run| run.scope() == scope && run.lifecycle.due.is_some());
            let ended_elsewhere = |run: &Run| !run.target.is_home() && run.lifecycle.state == State::Ending;
            let live = live.filter(|run| which == LiveRuns::All || !ended_elsewhere(run));
            let live = live.map(|run| LiveRun {
                id: run.id.clone(),
                user: run.user,
                copies: u32::try_from(run.lifecycle.copies.len()).unwrap(),
            });
            live.take(limit as usize).collect()
        })
    }
}

#[async_trait(?Send)]
impl ReadUserStatus for Table {
    /// Users who are not in the table are enabled: most tests do not put them there.
    async fn is_enabled(&self, user: UserId) -> Result<bool> {
        self.read("is_enabled", |rows| rows.users.get(&user).is_none_or(|user| user.disabled.is_none()))
    }
}

#[async_trait(?Send)]
impl ReadRevocations for Table {
    async fn is_revoked(&self, user: UserId, token: TokenId) -> Result<bool> {
        self.read("is_revoked", |rows| rows.tokens.get(&token).is_none_or(|token| token.user != user))
    }
}

#[async_trait(?Send)]
impl ReadUserRoles for Table {
    async fn roles_of_user(&self, user: UserId) -> Result<Vec<Role>> {
        self.read("roles_of_user", |rows| {
            rows.roles.iter().filter(|((_, of), _)| *of == user).map(|(_, role)| *role).collect()
        })
    }
}

#[async_trait(?Send)]
impl SaveRuns for Table {
    async fn save_lifecycle(
        &self,
        run: &Run,
        lifecycle: &Lifecycle,
        audit: Option<&AuditRecord>,
    ) -> Result<()> {
        self.write("save_lifecycle", |rows| {
            rows.save(run, lifecycle)?;
            rows.audit.extend(audit.cloned());
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl LaunchRuns for Table {
    async fn find_idempotency_record(
        &self,
        idempotency: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>> {
        self.read("find_idempotency_record", |rows| {
            rows.idempotency.get(idempotency.key_hash()).filter(|known| known.expires > now).cloned()
        })
    }

    async fn begin_run(
        &self,
        _scope: &Scope,
        run: &Run,
        idempotency: Option<&Idempotency>,
        replaces: Option<&RunId>,
        audit: &AuditRecord,
    ) -> Result<Created> {
        self.write("begin_run", |rows| {
            if let Some(known) = idempotency.and_then(|key| rows.idempotency.get(key.key_hash()))
                && replaces.is_none_or(|replaced| known.result != IdempotentResult::Run(replaced.clone()))
                && known.expires > run.created
            {
                return Ok(Created::Replayed(known.clone()));
            }
            if let Some(key) = idempotency {
                let made = key.record(IdempotentResult::Run(run.id.clone()), run.created);
                rows.idempotency.insert(key.key_hash().to_owned(), made);
            }
            rows.runs.insert(run.id.clone(), run.clone());
            rows.audit.push(audit.clone());
            Ok(Created::Created)
        })
    }
}

#[async_trait(?Send)]
impl ReserveCreations for Table {
    async fn reserve_creations(&self, request: &SlotRequest) -> Result<Slot> {
        self.write("reserve_creations", |rows| {
            rows.slot_requests.push(*request);
            Ok(rows.next_slot.take().unwrap_or(Slot::Reserved(request.now)))
        })
    }
}

#[async_trait(?Send)]
impl HeadJobs for Table {
    async fn record_head_job(
        &self,
        run: &Run,
        lifecycle: &Lifecycle,
        job: &HeadJob,
        audit: &AuditRecord,
    ) -> Result<()> {
        self.write("record_head_job", |rows| {
            let key = job_key(&job.location());
            if rows.head_jobs.contains_key(&key) {
                return Err(Error::Conflict("The job is another run's.".into()));
            }
            rows.save(run, lifecycle)?;
            rows.head_jobs.insert(key, run.id.clone());
            rows.audit.push(audit.clone());
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl ReadEnvironments for Table {
    async fn environment(
        &self,
        workspace: WorkspaceId,
        id: &EnvironmentId,
    ) -> Result<Option<StoredEnvironment>> {
        self.read("environment", |rows| rows.environments.get(&(workspace, id.clone())).cloned())
    }

    async fn environments(&self, workspace: WorkspaceId) -> Result<Vec<StoredEnvironment>> {
        self.read("environments", |rows| {
            rows.environments.values().filter(|stored| stored.workspace == workspace).cloned().collect()
        })
    }

    async fn credentials(
        &self,
        workspace: WorkspaceId,
        id: &CredentialsId,
    ) -> Result<Option<StoredCredentials>> {
        self.read("credentials", |rows| rows.credentials.get(&(workspace, id.clone())).cloned())
    }

    async fn all_credentials(&self, workspace: WorkspaceId) -> Result<Vec<StoredCredentials>> {
        self.read("all_credentials", |rows| {
            rows.credentials.values().filter(|stored| stored.workspace == workspace).cloned().collect()
        })
    }
}

#[async_trait(?Send)]
impl ListTargets for Table {
    async fn targets(&self) -> Result<Vec<ListedEnvironment>> {
        self.read("targets", |rows| rows.listed_environments.clone())
    }
}

#[async_trait(?Send)]
impl FindDueRuns for Table {
    async fn due_runs(&self, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        self.read("due_runs", |rows| {
            let mut due: Vec<_> =
                rows.runs.values().filter_map(|run| Some((rows.listed_at(run)?, &run.id))).collect();
            due.retain(|(due, _)| *due <= now);
            due.sort();
            due.into_iter().take(limit as usize).map(|(_, id)| id.clone()).collect()
        })
    }

    async fn postpone_inspection(&self, id: &RunId, now: Timestamp, until: Timestamp) -> Result<()> {
        self.write("postpone_inspection", |rows| {
            if rows.runs.get(id).is_some_and(|run| rows.listed_at(run).is_some_and(|due| due <= now)) {
                rows.postpone_inspection.insert(id.clone(), until);
            }
            Ok(())
        })
    }

    async fn run_of_head_job(&self, job: &JobLocation<'_>) -> Result<Option<RunId>> {
        self.read("run_of_head_job", |rows| rows.head_jobs.get(&job_key(job)).cloned())
    }

    async fn record_use(&self, owner: SecretOwner, secret: SecretId, at: Timestamp) -> Result<()> {
        self.write("record_use", |rows| {
            rows.used.push((owner, secret, at));
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl ReadLogins for Table {
    async fn user_of_login(&self, login: &Login) -> Result<Option<UserId>> {
        self.read("user_of_login", |rows| {
            rows.logins.iter().find(|(known, _)| known == login).map(|(_, user)| *user)
        })
    }
}

#[async_trait(?Send)]
impl RegisterLogins for Table {
    async fn is_email_taken(&self, email: &str) -> Result<bool> {
        self.read("is_email_taken", |rows| {
            rows.users.values().any(|user| user.email.eq_ignore_ascii_case(email))
        })
    }

    async fn register_login(&self, user: &User, login: &Login, audit: &AuditRecord) -> Result<()> {
        self.write("register_login", |rows| {
            rows.users.insert(user.id, user.clone());
            rows.logins.push((login.clone(), user.id));
            rows.audit.push(audit.clone());
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl ReadIdentity for Table {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.read("user", |rows| rows.users.get(&id).cloned())
    }

    async fn users(&self, after: Option<&str>, limit: u32) -> Result<Vec<User>> {
        self.read("users", |rows| {
            let mut users: Vec<_> = rows.users.values().cloned().collect();
            users.sort_by_key(|user| fold(&user.user_name));
            users.retain(|user| after.is_none_or(|after| fold(&user.user_name) > fold(after)));
            users.truncate(limit as usize);
            users
        })
    }

    async fn role_of_participant(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>> {
        self.read("role_of_participant", |rows| rows.roles.get(&(workspace, user)).copied())
    }

    async fn user_by_name(&self, name: &str) -> Result<Option<User>> {
        self.read("user_by_name", |rows| {
            rows.users.values().find(|user| user.user_name.eq_ignore_ascii_case(name)).cloned()
        })
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        self.read("user_by_email", |rows| {
            rows.users.values().find(|user| user.email.eq_ignore_ascii_case(email)).cloned()
        })
    }

    async fn logins(&self, issuer: &str) -> Result<Vec<(Login, UserId)>> {
        let of_issuer = |(login, _): &&(Login, UserId)| login.issuer == issuer;
        self.read("logins", |rows| rows.logins.iter().filter(of_issuer).cloned().collect())
    }

    async fn tokens(&self, user: UserId) -> Result<Vec<StoredToken>> {
        self.read("tokens", |rows| rows.tokens.values().filter(|token| token.user == user).cloned().collect())
    }

    async fn organization_by_name(&self, name: &str) -> Result<Option<Organization>> {
        self.read("organization_by_name", |rows| {
            rows.organizations.iter().find(|known| known.name.eq_ignore_ascii_case(name)).cloned()
        })
    }

    async fn workspace_by_name(&self, org: OrgId, name: &str) -> Result<Option<Workspace>> {
        self.read("workspace_by_name", |rows| {
            let of_org = |workspace: &&Workspace| workspace.org == org && workspace.deleted.is_none();
            let mut of_org = rows.workspaces.values().filter(of_org);
            of_org.find(|workspace| workspace.name.eq_ignore_ascii_case(name)).cloned()
        })
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<(Workspace, Role)>> {
        self.read("memberships", |rows| {
            let of_user = rows.roles.iter().filter(|((_, member), _)| *member == user);
            of_user.map(|((workspace, _), role)| (rows.workspaces[workspace].clone(), *role)).collect()
        })
    }

    async fn participants(&self, workspace: WorkspaceId) -> Result<Vec<(User, Role)>> {
        self.read("participants", |rows| {
            let of_workspace = rows.roles.iter().filter(|((id, _), _)| *id == workspace);
            of_workspace.map(|((_, user), role)| (rows.users[user].clone(), *role)).collect()
        })
    }
}

#[async_trait(?Send)]
impl ChangeIdentity for Table {
    async fn change_identity(
        &self,
        changes: &[Change],
        audit: &[AuditRecord],
        required: Option<&RequiredMembership>,
    ) -> Result<()> {
        self.write("change_identity", |rows| {
            let changed = |change: &Change| {
                matches!(change, Change::SetDisabled { user, grants, .. }
                    if rows.users.get(user).is_some_and(|user| user.grants != *grants))
                    || matches!(change, Change::DeleteWorkspace { workspace, .. }
                    if rows.workspaces.get(&workspace.id) != Some(workspace))
            };
            if changes.iter().any(changed) {
                return Err(Error::Contended);
            }
            for change in changes {
                rows.change(change.clone());
            }
            rows.audit.extend_from_slice(audit);
            rows.changes.push((changes.to_vec(), required.cloned()));
            Ok(())
        })
    }
}

impl Rows {
    fn change(&mut self, change: Change) {
        match change {
            Change::CreateUser(user, login) => {
                self.logins.extend(login.map(|login| (login, user.id)));
                self.users.insert(user.id, user);
            }
            Change::AddLogin(user, login, _) => {
                self.logins.retain(|(known, _)| *known != login);
                self.logins.push((login, user));
            }
            Change::RemoveUser { user, at } => {
                self.removed.insert(SecretOwner::User(user.id), at);
                self.users.entry(user.id).and_modify(|user| user.removed = Some(at));
            }
            Change::SetDisabled { user, disabled, .. } => {
                if let Some(user) = self.users.get_mut(&user) {
                    user.disabled = disabled;
                }
            }
            Change::CreateToken(token) => {
                self.tokens.insert(token.id, token);
            }
            Change::RevokeToken(token) => {
                self.tokens.remove(&token.id);
            }
            Change::CreateOrganization(organization) => self.organizations.push(organization),
            Change::CreateWorkspace(workspace) => {
                self.workspaces.insert(workspace.id, workspace);
            }
            Change::DeleteWorkspace { workspace, members, at } => {
                self.removed.insert(SecretOwner::Workspace(workspace.id), at);
                self.roles.retain(|(of, user), _| *of != workspace.id || !members.contains(user));
                self.workspaces.insert(workspace.id, Workspace { deleted: Some(at), ..workspace });
            }
            Change::SetPlatforms(workspace, platforms) => {
                self.workspaces.insert(workspace.id, Workspace { platforms, ..workspace });
            }
            Change::SetRole { workspace, user, from, to } => {
                if from.is_none() {
                    self.users.entry(user).and_modify(|user| user.grants += 1);
                    self.workspaces.entry(workspace).and_modify(|workspace| workspace.grants += 1);
                }
                match to {
                    Some(role) => self.roles.insert((workspace, user), role),
                    None => self.roles.remove(&(workspace, user)),
                };
            }
        }
    }
}

#[async_trait(?Send)]
impl Reconcile for Table {
    async fn stored_secret(&self, owner: SecretOwner, id: SecretId) -> Result<Option<Secret>> {
        self.read("stored_secret", |rows| rows.secrets.get(&(owner, id)).cloned())
    }

    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>> {
        self.read("workspace", |rows| rows.workspaces.get(&id).cloned())
    }

    async fn delete_secret_unscoped(&self, secret: &Secret, audit: &AuditRecord) -> Result<()> {
        self.write("delete_secret_unscoped", |rows| {
            rows.of_version(secret, secret.version)?;
            rows.secrets.remove(&(secret.owner, secret.id));
            rows.sealed.remove(&(secret.owner, secret.id));
            rows.audit.push(audit.clone());
            Ok(())
        })
    }

    async fn mark_value_lost(&self, secret: &Secret, lost: &Secret, audit: &AuditRecord) -> Result<()> {
        self.write("mark_value_lost", |rows| {
            rows.of_version(secret, secret.version)?;
            rows.sealed.remove(&(secret.owner, secret.id));
            rows.secrets.insert((lost.owner, lost.id), lost.clone());
            rows.audit.push(audit.clone());
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl FindRemoved for Table {
    async fn removed(&self) -> Result<Vec<Removed>> {
        self.read("removed", |rows| {
            rows.removed.iter().map(|(scope, at)| Removed { scope: *scope, at: *at }).collect()
        })
    }
}

#[async_trait(?Send)]
impl FinishRemovals for Table {
    async fn stored_secrets(&self, owner: SecretOwner) -> Result<Vec<Secret>> {
        self.read("stored_secrets", |rows| {
            rows.secrets.values().filter(|secret| secret.owner == owner).cloned().collect()
        })
    }

    async fn forget_removed(&self, scope: SecretOwner) -> Result<()> {
        self.write("forget_removed", |rows| {
            rows.removed.remove(&scope);
            Ok(())
        })
    }
}

#[async_trait(?Send)]
impl FindExpiring for Table {
    async fn expiring(&self, from: Timestamp, until: Timestamp, limit: u32) -> Result<ExpiringKeys> {
        self.read("expiring", |rows| {
            let mut listed = rows.expiring.clone();
            listed.retain(|(at, _)| (from..=until).contains(at));
            listed.sort();
            let complete = listed.len() <= limit as usize;
            let keys = listed.into_iter().take(limit as usize).map(|(_, key)| key).collect();
            ExpiringKeys { keys, complete }
        })
    }

    async fn read_expiring(&self, keys: &[ExpiringKey]) -> Result<Vec<Result<Expiring>>> {
        self.read("read_expiring", |rows| {
            let row = |key: &ExpiringKey| match key {
                _ if rows.unreadable.contains(key) => Some(Err(Error::bug("unreadable"))),
                ExpiringKey::Secret(owner, id) => {
                    rows.secrets.get(&(*owner, *id)).cloned().map(|it| Ok(Expiring::Secret(it)))
                }
                ExpiringKey::Token(id) => rows.tokens.get(id).cloned().map(|it| Ok(Expiring::Token(it))),
            };
            keys.iter().filter_map(row).collect()
        })
    }

    async fn enabled_users(&self, users: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>> {
        let enabled =
            |rows: &Rows, user: &UserId| rows.users.get(user).is_some_and(|it| it.disabled.is_none());
        self.read("enabled_users", |rows| users.iter().copied().filter(|user| enabled(rows, user)).collect())
    }
}

#[async_trait(?Send)]
impl IndexExpiry for Table {
    async fn index_secrets(&self, owner: SecretOwner) -> Result<u32> {
        self.write("index_secrets", |rows| {
            let of_owner = rows.secrets.values().filter(|secret| secret.owner == owner);
            let keys = of_owner.filter_map(|it| Some((it.expires?, ExpiringKey::Secret(owner, it.id))));
            let new: Vec<_> = keys.filter(|entry| !rows.expiring.contains(entry)).collect();
            rows.expiring.extend(&new);
            Ok(u32::try_from(new.len()).unwrap())
        })
    }

    async fn index_tokens(&self, user: UserId) -> Result<u32> {
        self.write("index_tokens", |rows| {
            let of_user = rows.tokens.values().filter(|token| token.user == user);
            let keys = of_user.filter_map(|it| Some((it.expires?, ExpiringKey::Token(it.id))));
            let new: Vec<_> = keys.filter(|entry| !rows.expiring.contains(entry)).collect();
            rows.expiring.extend(&new);
            Ok(u32::try_from(new.len()).unwrap())
        })
    }
}
