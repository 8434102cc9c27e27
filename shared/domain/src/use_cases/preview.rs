//! What a launch would do, without doing anything; never near a value.

use futures_util::future::try_join;

use crate::context::Context;
use crate::copies::{self, Layout};
use crate::identity::Actor;
use crate::ids::WorkspaceId;
use crate::owner::Scope;
use crate::platform::Platform;
use crate::ports::{ReadMembership, ReadSecrets, SecretReader};
use crate::resolve::{Resolved, SecretSelection, resolve};
use crate::role::Permission;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::{Error, Result};

/// What a launch asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaunchRequest {
    /// Where; `None` for the user's own secrets alone.
    pub workspace: Option<WorkspaceId>,
    /// The platform.
    pub platform: Platform,
    /// The layout of copies; the deployment's default where absent.
    pub layout: Option<Layout>,
    /// Which secrets.
    pub secrets: SecretSelection,
}

/// What a launch would deliver.
pub struct Preview {
    /// The resolved.
    pub resolved: Resolved,
    /// The layout of copies.
    pub layout: Layout,
    /// How many copies it would make.
    pub copies: usize,
    /// What the launcher should know before.
    pub warnings: Vec<String>,
}

/// Resolves a launch as [`launch`](super::launch::launch) would.
pub async fn preview(
    store: &dyn SecretReader,
    actor: &Actor,
    request: &LaunchRequest,
    context: &Context<'_>,
) -> Result<Preview> {
    let scopes = authorize_launch(store, actor, request, context).await?;
    let (workspace, user) = read_scopes(store, &scopes).await?;
    let resolved =
        resolve(&request.secrets, &workspace, &user, request.platform, context.now, context.settings)?;
    let layout = request.layout.unwrap_or(context.settings.default_layout);
    let copies = match request.platform.claims() {
        true => 0,
        false => copies::count(layout, &resolved.sizes()),
    };
    let warnings = warnings(request, &resolved);
    Ok(Preview { resolved, layout, copies, warnings })
}

/// The scopes that a launch draws on: the workspace's, where one is named, and the user's own.
pub(crate) struct LaunchScopes {
    pub(crate) workspace: Option<Scope>,
    pub(crate) user: Scope,
}

/// A launch is authorized when it starts; a claim, which may come much later, asks again.
pub(crate) async fn authorize_launch(
    store: &dyn ReadMembership,
    actor: &Actor,
    request: &LaunchRequest,
    context: &Context<'_>,
) -> Result<LaunchScopes> {
    let workspace = match request.workspace {
        Some(id) => Some(authorize_platform(store, context.settings, actor, id, request.platform).await?),
        None => None,
    };
    Ok(LaunchScopes { workspace, user: Scope::own(actor, Permission::Launch) })
}

/// Whether the actor may launch in the workspace on the platform: one read of role and workspace.
pub(crate) async fn authorize_platform(
    store: &dyn ReadMembership,
    settings: &Settings,
    actor: &Actor,
    id: WorkspaceId,
    platform: Platform,
) -> Result<Scope> {
    let (role, workspace) = store.role_and_workspace(id, actor.user).await?.ok_or(Error::NotFound)?;
    let scope = Scope::for_role(settings, actor, id, role, Permission::Launch)?;
    if !workspace.platforms.contains(&platform) {
        return Err(Error::Refused(format!(
            "This workspace does not allow launches on {platform}. A workspace owner or admin can allow the platform."
        )));
    }
    Ok(scope)
}

/// The small rows of both scopes, read side by side.
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

/// A quarter of the usual stack limit of 8 MiB: what Linux gives arguments and environment of one process together
/// (execve(2)).
const MAX_ENVIRONMENT: usize = 2 * 1024 * 1024;

pub(crate) fn warnings(request: &LaunchRequest, resolved: &Resolved) -> Vec<String> {
    let mut warnings = Vec::new();
    let own = resolved.secrets.iter().any(|resolved| resolved.secret.owner.kind() == "user");
    if own && request.workspace.is_some() {
        warnings.push(
            "Jobs in this workspace can read your user secrets in this launch while the run lasts."
                .to_owned(),
        );
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

#[cfg(test)]
mod tests;
