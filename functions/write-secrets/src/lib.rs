//! Creating, changing and deleting secrets. This function may make data keys and seal; it can open nothing.

use domain::Timestamp;
use domain::ports::{GenerateDataKey, Pace, Randomness, ReadMembership, ReadSecrets, WriteSecrets};
use domain::settings::Settings;
use domain::use_cases::{change_secret, create_secrets};
use http_api::wire::imports::{self, Imported};
use http_api::wire::secrets::{SecretCreated, change, draft, etag};
use http_api::{Answer, Operation, Problem, Request};

/// What the function holds between requests.
pub struct Handler<Store, Keys, Rng> {
    /// The table.
    pub store: Store,
    /// Data keys.
    pub keys: Keys,
    /// Randomness.
    pub randomness: Rng,
    /// The deployment's choices.
    pub settings: Settings,
}

impl<Store, Keys, Rng> Handler<Store, Keys, Rng>
where
    Store: ReadMembership + ReadSecrets + WriteSecrets,
    Keys: GenerateDataKey,
    Rng: Randomness,
{
    /// Answers one request within the time that `pace` has.
    pub async fn handle(&self, request: Request<'_>, pace: &impl Pace) -> Result<Answer, Problem> {
        let now = Timestamp::now();
        let (actor, workspace) = (request.actor()?, request.workspace()?);
        let ports = create_secrets::Ports {
            store: &self.store,
            keys: &self.keys,
            randomness: &self.randomness,
            pace,
            settings: &self.settings,
        };
        match request.operation {
            Operation::CreatePipelineSecret => {
                let drafts = [request.with_fields(|fields| draft(fields, &self.settings))?];
                let key = request.idempotency_key();
                let ids = create_secrets::create(&ports, &actor, workspace, &drafts, key, now).await?;
                let secret_id = *ids.first().ok_or(domain::Error::bug("a creation made no secret"))?;
                Ok(Answer::json(200, &SecretCreated { secret_id }))
            }
            Operation::ImportPipelineSecrets => {
                let drafts = match request.content_type().as_str() {
                    "text/plain" => imports::from_dotenv(&request.body()?, &self.settings)?,
                    _ => request.with_map(|entries| imports::from_json(entries, &self.settings))?,
                };
                let key = request.idempotency_key();
                let ids = create_secrets::create(&ports, &actor, workspace, &drafts, key, now).await?;
                Ok(Answer::json(200, &Imported::new(&drafts, &ids)))
            }
            Operation::UpdatePipelineSecret => {
                let (id, version) = (request.secret_id()?, request.if_version()?);
                let change = request.with_fields(change)?;
                let secret =
                    change_secret::update(&ports, &actor, workspace, id, &change, version, now).await?;
                Ok(Answer::no_content().with_header("etag", etag(&secret)))
            }
            Operation::DeletePipelineSecret => {
                let (id, version) = (request.secret_id()?, request.if_version()?);
                change_secret::delete(&ports, &actor, workspace, id, version, now).await?;
                Ok(Answer::no_content())
            }
            _ => Err(Problem::new(404, "Not Found")),
        }
    }
}
