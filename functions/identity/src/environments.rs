//! Credentials and compute environments over HTTP.

use domain::Context;
use domain::environment::{CredentialsId, EnvironmentId, Service};
use domain::identity::Actor;
use domain::use_cases::environments::EnvironmentService;
use http_api::wire::environments::{
    CredentialsAnswer, CredentialsCreated, CredentialsList, EnvironmentAnswer, EnvironmentCreated,
    EnvironmentList, Validated, credentials_draft, environment_draft, environment_update,
};
use http_api::{Answer, Operation, Problem, Request};

/// Credentials and compute environments, and what roles in other accounts must know about this
/// deployment.
pub struct Environments {
    /// The use cases.
    pub service: EnvironmentService,
    /// This deployment, as roles in other accounts see it.
    pub deployment: Service,
}

impl Environments {
    pub(crate) async fn handle(
        &self,
        actor: &Actor,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Problem> {
        let workspace = request.workspace()?;
        match request.operation {
            Operation::ListCredentials => {
                let all = self.service.list_credentials(actor, workspace, context).await?;
                Ok(Answer::json(200, &CredentialsList::new(&all, request.query("platformId"))))
            }
            Operation::CreateCredentials => {
                let draft = credentials_draft(&request.json()?)?;
                let id = self.service.create_credentials(actor, workspace, &draft, context).await?;
                Ok(Answer::json(200, &CredentialsCreated { credentials_id: id }))
            }
            Operation::ListComputeEnvs => {
                let all = self.service.list(actor, workspace, context).await?;
                Ok(Answer::json(200, &EnvironmentList::new(&all, request.query("status"))))
            }
            Operation::CreateComputeEnv => {
                let draft = environment_draft(&request.json()?)?;
                let id = self.service.create(actor, workspace, &draft, context).await?;
                Ok(Answer::json(200, &EnvironmentCreated { compute_env_id: id }))
            }
            Operation::DescribeCredentials
            | Operation::UpdateCredentials
            | Operation::DeleteCredentials
            | Operation::ValidateCredentials => self.credentials(actor, request, context).await,
            _ => self.environment(actor, request, context).await,
        }
    }

    async fn credentials(
        &self,
        actor: &Actor,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Problem> {
        let workspace = request.workspace()?;
        let id = request.text_id("credentialsId", CredentialsId::parse)?;
        match request.operation {
            Operation::DescribeCredentials => {
                let stored = self.service.describe_credentials(actor, workspace, &id, context).await?;
                Ok(Answer::json(200, &CredentialsAnswer::new(&stored, &self.deployment)))
            }
            Operation::UpdateCredentials => {
                let draft = credentials_draft(&request.json()?)?;
                self.service.update_credentials(actor, workspace, &id, &draft, context).await?;
                Ok(Answer::no_content())
            }
            Operation::ValidateCredentials => {
                check_force(request)?;
                let failure = self.service.validate_credentials(actor, workspace, &id, context).await?;
                Ok(Answer::json(200, &Validated::new(failure.as_deref())))
            }
            _ => {
                self.service.delete_credentials(actor, workspace, &id, context).await?;
                Ok(Answer::no_content())
            }
        }
    }

    async fn environment(
        &self,
        actor: &Actor,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Result<Answer, Problem> {
        let workspace = request.workspace()?;
        let id = request.text_id("computeEnvId", EnvironmentId::parse)?;
        match request.operation {
            Operation::DescribeComputeEnv => {
                let stored = self.service.describe(actor, workspace, &id, context).await?;
                Ok(Answer::json(200, &EnvironmentAnswer::new(&stored)))
            }
            Operation::UpdateComputeEnv => {
                let update = environment_update(&request.json()?)?;
                self.service.update(actor, workspace, &id, &update, context).await?;
                Ok(Answer::no_content())
            }
            Operation::ValidateComputeEnv => {
                check_force(request)?;
                let failure = self.service.validate(actor, workspace, &id, context).await?;
                Ok(Answer::json(200, &Validated::new(failure.as_deref())))
            }
            _ => {
                self.service.delete(actor, workspace, &id, context).await?;
                Ok(Answer::no_content())
            }
        }
    }
}

/// Seqera Platform's `force` declares a role valid without a check. `tw` always sends it.
fn check_force(request: &Request<'_>) -> Result<(), Problem> {
    match request.query("force") {
        None | Some("false") => Ok(()),
        Some(_) => Err(Problem::bad_request(
            "force must be false: a role is valid only after a check that succeeds.",
        )),
    }
}
