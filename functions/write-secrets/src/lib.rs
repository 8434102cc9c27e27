//! Creates, changes and deletes secrets. This function can generate data keys and seal values; it
//! cannot open them.

use domain::Context;
use domain::use_cases::create_secrets::SecretService;
use http_api::wire::imports::{self, Imported};
use http_api::wire::secrets::{SecretCreated, change, draft, etag};
use http_api::{Answer, Handle, Operation, Problem, Request};

/// Answers the requests of this function.
pub struct Handler {
    /// Creates, changes and deletes secrets.
    pub service: SecretService,
}

impl Handle for Handler {
    async fn handle(&self, request: Request<'_>, context: &Context<'_>) -> Result<Answer, Problem> {
        let (actor, workspace) = (request.actor()?, request.workspace()?);
        let (service, settings) = (&self.service, context.settings);
        match request.operation {
            Operation::CreatePipelineSecret => {
                let drafts = [draft(request.json()?, settings)?];
                let key = request.idempotency_key();
                let ids = service.create(&actor, workspace, &drafts, key, context).await?;
                let secret_id = *ids.first().ok_or(domain::Error::bug("a creation returned no secret ID"))?;
                Ok(Answer::json(200, &SecretCreated { secret_id }))
            }
            Operation::ImportPipelineSecrets => {
                let mode = imports::mode(&request)?;
                let drafts = match request.content_type().as_str() {
                    "text/plain" => imports::from_dotenv(&request.body()?, settings)?,
                    _ => imports::from_json(&request.json_text()?, settings)?,
                };
                let key = request.idempotency_key();
                let written = service.import(&actor, workspace, &drafts, mode, key, context).await?;
                Ok(Answer::json(200, &Imported::new(&drafts, &written)))
            }
            Operation::UpdatePipelineSecret => {
                let (id, version) = (request.secret_id()?, request.if_version()?);
                let change = change(request.json()?)?;
                let secret = service.update(&actor, workspace, id, &change, version, context).await?;
                Ok(Answer::no_content().with_header("etag", etag(&secret)))
            }
            Operation::DeletePipelineSecret => {
                let (id, version) = (request.secret_id()?, request.if_version()?);
                service.delete(&actor, workspace, id, version, context).await?;
                Ok(Answer::no_content())
            }
            _ => Err(Problem::new(404, "Not Found")),
        }
    }
}
