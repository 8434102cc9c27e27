//! The operations of this function, each handed to its use case.

use domain::Timestamp;
use domain::ids::{OrgId, TokenId, UserId, WorkspaceId};
use domain::ports::{Pace, Randomness, Reconcile};
use domain::use_cases::identity::participants::Place;
use domain::use_cases::identity::{Ports, describe, participants, tokens};
use http_api::wire::identity::{self as wire, OrgsAndWorkspaces, ParticipantAnswer, ParticipantList};
use http_api::{Answer, Operation, Problem, Request};

use crate::Handler;

impl<Store, Rng> Handler<Store, Rng>
where
    Store: Reconcile,
    Rng: Randomness,
{
    pub(crate) async fn over_http(&self, request: Request<'_>, pace: &impl Pace) -> Result<Answer, Problem> {
        if request.operation == Operation::DescribeService {
            return Ok(Answer::json(200, &wire::service_info(env!("CARGO_PKG_VERSION"))));
        }
        let ports =
            Ports { store: &self.store, randomness: &self.randomness, pace, settings: &self.settings };
        match request.operation {
            Operation::DescribeUser
            | Operation::ListUserWorkspaces
            | Operation::ListOrganizations
            | Operation::ListWorkspaces => self.describe(&request).await,
            Operation::ListTokens | Operation::CreateToken | Operation::DeleteToken => {
                own_tokens(&ports, &request).await
            }
            Operation::DescribeWorkspace
            | Operation::UpdateWorkspacePlatforms
            | Operation::ListParticipants
            | Operation::AddParticipant
            | Operation::UpdateParticipantRole
            | Operation::DeleteParticipant => in_workspace(&ports, &request).await,
            _ => Err(Problem::new(404, "Not Found")),
        }
    }

    async fn describe(&self, request: &Request<'_>) -> Result<Answer, Problem> {
        let (store, actor) = (&self.store, request.actor()?);
        match request.operation {
            Operation::DescribeUser => {
                let user = describe::user(store, &actor).await?;
                Ok(Answer::json(200, &wire::user_info(&user)))
            }
            Operation::ListUserWorkspaces => {
                let user = id(request, "userId", UserId::new)?;
                let memberships = describe::workspaces_of(store, &actor, user).await?;
                Ok(Answer::json(200, &OrgsAndWorkspaces::new(&memberships)))
            }
            Operation::ListOrganizations => {
                let memberships = describe::workspaces(store, &actor).await?;
                Ok(Answer::json(200, &wire::organization_list(actor.user, &memberships)))
            }
            _ => {
                let org = id(request, "orgId", OrgId::new)?;
                let memberships = describe::workspaces_in(store, &actor, org).await?;
                Ok(Answer::json(200, &wire::workspace_list(&memberships)))
            }
        }
    }
}

async fn own_tokens(
    ports: &Ports<'_, impl Reconcile, impl Randomness, impl Pace>,
    request: &Request<'_>,
) -> Result<Answer, Problem> {
    let (actor, now) = (request.actor()?, Timestamp::now());
    match request.operation {
        Operation::ListTokens => {
            let tokens = tokens::list(ports.store, &actor).await?;
            Ok(Answer::json(200, &wire::TokenList::new(&tokens)))
        }
        Operation::CreateToken => {
            let (name, expires) = request.with_fields(|fields| {
                Ok((fields.required_text("name")?.to_string(), fields.instant("expires")?))
            })?;
            let (token, access_key) = tokens::create(ports, &actor, &name, expires, now).await?;
            Ok(Answer::json(200, &wire::TokenCreated::new(&token, &access_key)))
        }
        _ => {
            let token = id(request, "tokenId", TokenId::new)?;
            tokens::revoke(ports, &actor, token, now).await?;
            Ok(Answer::no_content())
        }
    }
}

async fn in_workspace(
    ports: &Ports<'_, impl Reconcile, impl Randomness, impl Pace>,
    request: &Request<'_>,
) -> Result<Answer, Problem> {
    let (actor, now) = (request.actor()?, Timestamp::now());
    let org = id(request, "orgId", OrgId::new)?;
    let workspace = id(request, "workspaceId", WorkspaceId::new)?;
    let place = Place { org, workspace };
    match request.operation {
        Operation::DescribeWorkspace => {
            let (workspace, _) = describe::workspace(ports.store, &actor, org, workspace).await?;
            Ok(Answer::json(200, &wire::workspace_answer(&workspace)))
        }
        Operation::UpdateWorkspacePlatforms => {
            let platforms = request.with_fields(wire::platforms)?;
            participants::allow_platforms(ports, &actor, place, &platforms, now).await?;
            Ok(Answer::no_content())
        }
        Operation::ListParticipants => {
            let (max, offset) = (number(request, "max", MAX_PAGE)?, number(request, "offset", 0)?);
            let search = request.query("search").unwrap_or_default();
            let participants = participants::list(ports.store, &actor, place).await?;
            Ok(Answer::json(200, &ParticipantList::new(&participants, search, offset, max)))
        }
        Operation::AddParticipant => {
            let (whom, role) = request.with_fields(wire::new_participant)?;
            let user = participants::add(ports, &actor, place, &whom, role, now).await?;
            Ok(Answer::json(200, &ParticipantAnswer::new(&user, role)))
        }
        Operation::UpdateParticipantRole => {
            let participant = id(request, "participantId", UserId::new)?;
            let role = request.with_fields(wire::new_role)?;
            participants::change_role(ports, &actor, place, participant, role, now).await?;
            Ok(Answer::no_content())
        }
        _ => {
            let participant = id(request, "participantId", UserId::new)?;
            participants::remove(ports, &actor, place, participant, now).await?;
            Ok(Answer::no_content())
        }
    }
}

/// An id of the path. Text that is no number is a bad request, a number that nothing has is absent.
fn id<Id>(request: &Request<'_>, name: &str, new: impl Fn(i64) -> Option<Id>) -> Result<Id, Problem> {
    let number: i64 = request
        .path(name)
        .parse()
        .map_err(|_| Problem::bad_request(format!("{name} must be a whole number.")))?;
    new(number).ok_or_else(|| domain::Error::NotFound.into())
}

/// A query parameter that is a whole number, 0 included.
fn number(request: &Request<'_>, name: &str, default: usize) -> Result<usize, Problem> {
    let text = request.query(name).map(str::parse).transpose();
    text.map(|number| number.unwrap_or(default))
        .map_err(|_| Problem::bad_request(format!("{name} must be a whole number, 0 or more.")))
}

/// Participants of an answer where the client names no number: all of them, in practice.
const MAX_PAGE: usize = 10_000;
