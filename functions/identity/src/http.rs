//! The operations of this function. Each calls its use case.

use domain::Context;
use domain::identity::{Actor, Caller};
use domain::ids::{ID_BOUND, OrgId, TokenId, UserId, WorkspaceId};
use domain::owner::{Removed, SecretOwner};
use domain::ports::{ChangeIdentity, ReadIdentity};
use domain::use_cases::identity::participants::WorkspacePath;
use domain::use_cases::identity::{describe, finish, participants, tokens, workspaces};
use domain::use_cases::register_login::register_login;
use http_api::request::whole_number;
use http_api::wire::identity::{
    self as wire, MemberList, OrgsAndWorkspaces, ParticipantAnswer, ParticipantList,
};
use http_api::{Answer, Operation, Problem, Request};

use crate::Handler;

impl Handler {
    pub(crate) async fn over_http(
        &self,
        request: Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Problem> {
        if request.operation == Operation::DescribeService {
            return Ok(Answer::json(200, &wire::service_info(env!("CARGO_PKG_VERSION"))));
        }
        let store = &*self.store;
        let actor = match request.caller()? {
            Caller::User(actor) => actor,
            Caller::NewLogin(verified) => register_login(store, &verified, context).await?,
        };
        match request.operation {
            Operation::DescribeUser
            | Operation::ListUserWorkspaces
            | Operation::ListOrganizations
            | Operation::DescribeOrganization
            | Operation::ListOrganizationMembers
            | Operation::ListWorkspaces => describe(store, &actor, &request).await,
            Operation::ListTokens | Operation::CreateToken | Operation::DeleteToken => {
                own_tokens(store, &actor, &request, context).await
            }
            Operation::DescribeWorkspace
            | Operation::UpdateWorkspacePlatforms
            | Operation::ListParticipants
            | Operation::AddParticipant
            | Operation::UpdateParticipantRole
            | Operation::DeleteParticipant
            | Operation::LeaveWorkspace => in_workspace(store, &actor, &request, context).await,
            Operation::ListCredentials
            | Operation::CreateCredentials
            | Operation::DescribeCredentials
            | Operation::UpdateCredentials
            | Operation::DeleteCredentials
            | Operation::ValidateCredentials
            | Operation::ListComputeEnvs
            | Operation::CreateComputeEnv
            | Operation::DescribeComputeEnv
            | Operation::UpdateComputeEnv
            | Operation::DeleteComputeEnv
            | Operation::ValidateComputeEnv => self.environments.handle(&actor, &request, context).await,
            Operation::DeleteWorkspace => self.delete_workspace(&actor, &request, context).await,
            _ => Err(Problem::new(404, "Not Found")),
        }
    }

    async fn delete_workspace(
        &self,
        actor: &Actor,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Problem> {
        let path = path(request)?;
        workspaces::delete(&*self.store, actor, path, context).await?;
        // The workspace is deleted. The schedule repeats what fails here.
        let removed = Removed { scope: SecretOwner::Workspace(path.workspace), at: context.now };
        if let Err(error) = finish::finish_scope(&*self.store, removed, context).await {
            domain::log::error(&error).error("could not delete what a deleted workspace had");
        }
        Ok(Answer::no_content())
    }
}

async fn describe(store: &dyn ReadIdentity, actor: &Actor, request: &Request<'_>) -> Result<Answer, Problem> {
    match request.operation {
        Operation::DescribeUser => {
            let user = describe::user(store, actor).await?;
            Ok(Answer::json(200, &wire::user_info(&user)))
        }
        Operation::ListUserWorkspaces => {
            let user = request.id("userId", UserId::new)?;
            let memberships = describe::workspaces_of(store, actor, user).await?;
            Ok(Answer::json(200, &OrgsAndWorkspaces::new(&memberships)))
        }
        Operation::ListOrganizations => {
            let memberships = describe::workspaces(store, actor).await?;
            Ok(Answer::json(200, &wire::organization_list(actor.user, &memberships)))
        }
        Operation::DescribeOrganization => {
            let org = request.id("orgId", OrgId::new)?;
            let organization = describe::organization(store, actor, org).await?;
            Ok(Answer::json(200, &wire::organization_answer(actor.user, &organization)))
        }
        Operation::ListOrganizationMembers => {
            let org = request.id("orgId", OrgId::new)?;
            let (max, offset) = (number(request, "max", MAX_PAGE)?, number(request, "offset", 0)?);
            let members = describe::members(store, actor, org).await?;
            Ok(Answer::json(200, &MemberList::new(&members, request.query("search"), offset, max)))
        }
        _ => {
            let org = request.id("orgId", OrgId::new)?;
            let memberships = describe::workspaces_in(store, actor, org).await?;
            Ok(Answer::json(200, &wire::workspace_list(&memberships)))
        }
    }
}

async fn own_tokens(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    request: &Request<'_>,
    context: &Context<'_>,
) -> Result<Answer, Problem> {
    match request.operation {
        Operation::ListTokens => {
            let tokens = tokens::list(store, actor).await?;
            Ok(Answer::json(200, &wire::TokenList::new(&tokens)))
        }
        Operation::CreateToken => {
            let new = wire::new_token(request.json()?)?;
            let (token, access_key) = tokens::create(store, actor, &new, context).await?;
            Ok(Answer::json(200, &wire::TokenCreated::new(&token, &access_key)))
        }
        _ => {
            let token = request.id("tokenId", TokenId::new)?;
            tokens::revoke(store, actor, token, context).await?;
            Ok(Answer::no_content())
        }
    }
}

/// The workspace in the request's path.
fn path(request: &Request<'_>) -> Result<WorkspacePath, Problem> {
    Ok(WorkspacePath {
        org: request.id("orgId", OrgId::new)?,
        workspace: request.id("workspaceId", WorkspaceId::new)?,
    })
}

async fn in_workspace(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    request: &Request<'_>,
    context: &Context<'_>,
) -> Result<Answer, Problem> {
    let path = path(request)?;
    match request.operation {
        Operation::DescribeWorkspace => {
            let (workspace, _) = describe::workspace(store, actor, path.org, path.workspace).await?;
            Ok(Answer::json(200, &wire::workspace_answer(&workspace)))
        }
        Operation::UpdateWorkspacePlatforms => {
            let platforms = wire::platforms(request.json()?)?;
            participants::allow_platforms(store, actor, path, &platforms, context).await?;
            Ok(Answer::no_content())
        }
        Operation::ListParticipants => {
            let (max, offset) = (number(request, "max", MAX_PAGE)?, number(request, "offset", 0)?);
            let search = request.query("search").unwrap_or_default();
            let participants = participants::list(store, actor, path).await?;
            Ok(Answer::json(200, &ParticipantList::new(&participants, search, offset, max)))
        }
        Operation::AddParticipant => {
            let (user, role) = wire::new_participant(request.json()?)?;
            let user = participants::add(store, actor, path, &user, role, context).await?;
            Ok(Answer::json(200, &ParticipantAnswer::new(&user, role)))
        }
        Operation::UpdateParticipantRole => {
            let participant = request.id("participantId", UserId::new)?;
            let role = wire::new_role(request.json()?)?;
            participants::change_role(store, actor, path, participant, role, context).await?;
            Ok(Answer::no_content())
        }
        Operation::LeaveWorkspace => {
            participants::remove(store, actor, path, actor.user, context).await?;
            Ok(Answer::no_content())
        }
        _ => {
            let participant = request.id("participantId", UserId::new)?;
            participants::remove(store, actor, path, participant, context).await?;
            Ok(Answer::no_content())
        }
    }
}

/// Returns a query parameter that must be a whole number, 0 or more.
fn number(request: &Request<'_>, name: &str, default: usize) -> Result<usize, Problem> {
    let Some(text) = request.query(name) else {
        return Ok(default);
    };
    let number = whole_number(text).filter(|number| *number < ID_BOUND);
    number
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| Problem::bad_request(format!("{name} must be a whole number, 0 or more.")))
}

/// The default of `max`: in practice, all participants or members.
const MAX_PAGE: usize = 10_000;
