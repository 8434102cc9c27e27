//! Previews of launches. A preview changes nothing and reads no values.

use futures_util::future::try_join;

use crate::context::Context;
use crate::copies::{self, Layout};
use crate::environment::{EnvironmentId, StoredEnvironment, Target};
use crate::identity::{Actor, Workspace};
use crate::ids::WorkspaceId;
use crate::owner::Scope;
use crate::platform::Platform;
use crate::ports::{LaunchAuthority, LaunchPreviewer, ReadMembership, ReadSecrets};
use crate::resolve::{Resolved, SecretSelection, resolve};
use crate::role::{Permission, Role};
use crate::secret::Secret;
use crate::settings::{LaunchWithoutWorkspace, Settings};
use crate::{Error, Result};

/// A request to launch a run, or to preview the launch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaunchRequest {
    /// The workspace; `None` for user secrets only.
    pub workspace: Option<WorkspaceId>,
    /// The platform.
    pub platform: Platform,
    /// The layout of copies; by default the deployment's.
    pub layout: Option<Layout>,
    /// The workspace's environment in which the run executes; by default the account and region of
    /// the deployment.
    pub compute_env: Option<EnvironmentId>,
    /// The selected secrets.
    pub secrets: SecretSelection,
}

/// The result of a launch, without launching it.
pub struct Preview {
    /// The resolved secrets.
    pub resolved: Resolved,
    /// The layout of copies.
    pub layout: Layout,
    /// The number of copies that the launch would create.
    pub copies: usize,
    /// Where the run would execute.
    pub target: Target,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// The layout of a launch's copies.
pub(crate) fn layout(request: &LaunchRequest, context: &Context<'_>) -> Layout {
    request.layout.unwrap_or(context.settings.default_layout)
}

/// The number of copies of a launch.
pub(crate) fn count_copies(request: &LaunchRequest, resolved: &Resolved, context: &Context<'_>) -> usize {
    match request.platform.claims() {
        true => 0,
        false => copies::count(layout(request, context), &resolved.sizes()),
    }
}

/// Resolves a launch like [`Launcher::launch`](super::launch::Launcher::launch) does.
pub async fn preview(
    store: &dyn LaunchPreviewer,
    actor: &Actor,
    request: &LaunchRequest,
    context: &Context<'_>,
) -> Result<Preview> {
    let (scopes, target) = authorize_with_target(store, actor, request, context).await?;
    let (workspace, user) = read_scopes(store, &scopes).await?;
    let resolved =
        resolve(&request.secrets, &workspace, &user, request.platform, context.now, context.settings)?;
    let layout = layout(request, context);
    let copies = count_copies(request, &resolved, context);
    let warnings = warnings(request, &resolved, &target);
    Ok(Preview { resolved, layout, copies, target, warnings })
}

/// The scopes of a launch: the workspace's, if one is named, and the user's.
pub(crate) struct LaunchScopes {
    pub(crate) workspace: Option<Scope>,
    pub(crate) user: Scope,
}

impl LaunchScopes {
    /// The scope that the run belongs to.
    pub(crate) fn of_run(&self) -> &Scope {
        self.workspace.as_ref().unwrap_or(&self.user)
    }
}

/// Authorizes a launch. A claim, which may come much later, is authorized again.
pub(crate) async fn authorize_launch(
    store: &dyn LaunchAuthority,
    actor: &Actor,
    request: &LaunchRequest,
    context: &Context<'_>,
) -> Result<LaunchScopes> {
    let Some(id) = request.workspace else {
        let user = Scope::own(actor, Permission::Launch)?;
        authorize_without_workspace(store, actor, context.settings).await?;
        return Ok(LaunchScopes { workspace: None, user });
    };
    let workspace = authorize_platform(store, context.settings, actor, id, request.platform).await?;
    let user = Scope::own_beside(&workspace);
    Ok(LaunchScopes { workspace: Some(workspace), user })
}

/// Checks that the actor may launch with user secrets alone. Anyone who can sign in could otherwise
/// fill the account's secret manager.
async fn authorize_without_workspace(
    store: &dyn LaunchAuthority,
    actor: &Actor,
    settings: &Settings,
) -> Result<()> {
    let refused = |who: &str| {
        Err(Error::Refused(format!(
            "This deployment does not allow launches without a workspace{who}. Name a workspace in which you have \
             permission to launch: workspaceId."
        )))
    };
    match settings.launch_without_workspace {
        LaunchWithoutWorkspace::Everyone => Ok(()),
        LaunchWithoutWorkspace::NoOne => refused(""),
        LaunchWithoutWorkspace::Launchers => {
            let launchers = Permission::Launch.roles(settings);
            let roles = store.roles_of_user(actor.user).await?;
            match roles.iter().any(|role| launchers.contains(role)) {
                true => Ok(()),
                false => refused(" for users without permission to launch in any workspace"),
            }
        }
    }
}

/// Authorizes a launch, and reads its environment in the same call. An environment of another
/// workspace does not exist for this one.
pub(crate) async fn authorize_with_target(
    store: &dyn LaunchPreviewer,
    actor: &Actor,
    request: &LaunchRequest,
    context: &Context<'_>,
) -> Result<(LaunchScopes, Target)> {
    let Some(id) = &request.compute_env else {
        return Ok((authorize_launch(store, actor, request, context).await?, Target::Home));
    };
    let Some(workspace) = request.workspace else {
        return Err(Error::Invalid(
            "computeEnvId names an environment of a workspace: add workspaceId to the request.".into(),
        ));
    };
    actor.check_workspace(Some(workspace))?;
    let found = store.role_workspace_and_environment(workspace, actor.user, id).await?;
    let (role, found, environment) = found.ok_or(Error::NotFound)?;
    let scope = launch_scope(context.settings, actor, role, &found, request.platform)?;
    if request.platform.claims() {
        return Err(Error::Invalid("computeEnvId is only for launches on aws-batch. Omit it.".into()));
    }
    let StoredEnvironment { environment, failure, .. } = environment.ok_or_else(|| {
        Error::Refused("computeEnvId: this workspace has no compute environment with this ID.".into())
    })?;
    if let Some(failure) = failure {
        return Err(Error::Refused(format!(
            "The last check of this compute environment found that it cannot be used. {failure} Then validate it again."
        )));
    }
    let user = Scope::own_beside(&scope);
    Ok((LaunchScopes { workspace: Some(scope), user }, Target::Elsewhere(environment)))
}

/// Checks that the actor may launch in the workspace on the platform, with one read.
pub(crate) async fn authorize_platform(
    store: &dyn ReadMembership,
    settings: &Settings,
    actor: &Actor,
    id: WorkspaceId,
    platform: Platform,
) -> Result<Scope> {
    actor.check_workspace(Some(id))?;
    let (role, workspace) = store.role_and_workspace(id, actor.user).await?.ok_or(Error::NotFound)?;
    launch_scope(settings, actor, role, &workspace, platform)
}

/// Checks that the role permits launches, and the workspace launches on the platform.
fn launch_scope(
    settings: &Settings,
    actor: &Actor,
    role: Role,
    workspace: &Workspace,
    platform: Platform,
) -> Result<Scope> {
    let scope = Scope::for_role(settings, actor, workspace.id, role, Permission::Launch)?;
    if !workspace.platforms.contains(&platform) {
        return Err(Error::Refused(format!(
            "This workspace does not allow launches on {platform}. A workspace owner or admin can allow the platform."
        )));
    }
    Ok(scope)
}

/// Reads the secrets of both scopes concurrently, without values.
pub(crate) async fn read_scopes(
    store: &dyn ReadSecrets,
    scopes: &LaunchScopes,
) -> Result<(Vec<Secret>, Vec<Secret>)> {
    let workspace = async {
        match &scopes.workspace {
            Some(scope) => store.secrets(scope).await,
            None => Ok(Vec::new()),
        }
    };
    try_join(workspace, store.secrets(&scopes.user)).await
}

/// The maximum number of names in a warning.
const MAX_WARNED: usize = 10;

/// The limit in Linux for arguments and environment of a process: a quarter of the usual stack
/// limit of 8 MiB (execve(2)).
const MAX_ENVIRONMENT: usize = 2 * 1024 * 1024;

pub(crate) fn warnings(request: &LaunchRequest, resolved: &Resolved, target: &Target) -> Vec<String> {
    let mut warnings = Vec::new();
    let own = resolved.secrets.iter().any(|resolved| resolved.secret.owner.kind() == "user");
    if own && request.workspace.is_some() {
        let place = target.environment().map_or_else(String::new, |environment| {
            format!(" in account {}, region {},", environment.role.account(), environment.region)
        });
        warnings.push(format!(
            "Jobs in this workspace{place} can read your user secrets in this launch while the run lasts."
        ));
    }
    if request.platform == Platform::Kubernetes {
        warnings.extend(not_for_local_tasks(resolved));
    }
    let total: usize = resolved
        .secrets
        .iter()
        .map(|resolved| resolved.secret.properties.raw_bytes + resolved.secret.name.as_str().len() + 2)
        .sum();
    if total > MAX_ENVIRONMENT / 2 {
        warnings.push(format!(
            "These secrets total {total} bytes. A process that receives all of them may not start, because Linux allows \
             {MAX_ENVIRONMENT} bytes of arguments and environment. Select fewer, or name them per task."
        ));
    }
    warnings
}

/// Names the secrets that processes with the local executor do not get unchanged.
fn not_for_local_tasks(resolved: &Resolved) -> Option<String> {
    let secrets = resolved.secrets.iter().map(|resolved| &resolved.secret);
    let names: Vec<_> =
        secrets.filter(|s| !s.properties.nextflow_store).map(|secret| secret.name.as_str()).collect();
    let unsaid = match names.len().saturating_sub(MAX_WARNED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| {
        format!(
            "Tasks in pods and `secrets.NAME` get every value unchanged. Processes with the local executor, which run in \
             the pod of the head job, do not get these: {}{unsaid}. Nextflow's secrets store cannot carry their line breaks, \
             quotation marks, dollar signs, backslashes or backticks. Do not name them in such a process, or store them as \
             base64.",
            names[..names.len().min(MAX_WARNED)].join(", ")
        )
    })
}

#[cfg(test)]
mod tests;
