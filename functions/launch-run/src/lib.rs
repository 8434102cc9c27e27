//! Launches and their previews. This function may open values and create copies; it can neither read nor delete one.

use domain::Timestamp;
use domain::ids::RunPrefix;
use domain::ports::{
    AnnounceRuns, CreateCopies, DecryptDataKey, LaunchRuns, Pace, Randomness, ReadMembership,
    ReadSealedValues, ReadSecrets,
};
use domain::settings::Settings;
use domain::use_cases::launch::Launcher;
use domain::use_cases::preview::preview;
use http_api::wire::launches::{self, Deployment};
use http_api::{Answer, Operation, Problem, Request};

/// What the function holds between requests.
pub struct Handler<Store, Keys, Copies, Bus, Rng> {
    /// The table.
    pub store: Store,
    /// Data keys.
    pub keys: Keys,
    /// AWS Secrets Manager.
    pub copies: Copies,
    /// The event bus.
    pub bus: Bus,
    /// Randomness.
    pub randomness: Rng,
    /// The deployment's choices.
    pub settings: Settings,
    /// How run ids begin.
    pub prefix: RunPrefix,
    /// The public base URL of the API.
    pub endpoint: String,
    /// The key of the copies, where it is not the account's own of AWS Secrets Manager.
    pub copy_key: Option<String>,
}

impl<Store, Keys, Copies, Bus, Rng> Handler<Store, Keys, Copies, Bus, Rng>
where
    Store: ReadMembership + ReadSecrets + ReadSealedValues + LaunchRuns,
    Keys: DecryptDataKey,
    Copies: CreateCopies,
    Bus: AnnounceRuns,
    Rng: Randomness,
{
    /// Answers one request within the time that `pace` has.
    pub async fn handle(&self, request: Request<'_>, pace: &impl Pace) -> Result<Answer, Problem> {
        let now = Timestamp::now();
        let (actor, workspace) = (request.actor()?, request.workspace()?);
        let asked = request.with_fields(|fields| launches::request(fields, workspace))?;
        match request.operation {
            Operation::PreviewLaunch => {
                let preview = preview(&self.store, &self.settings, &actor, &asked, now).await?;
                Ok(launches::previewed(&asked, &preview))
            }
            Operation::LaunchRun => {
                let launcher = Launcher {
                    store: &self.store,
                    keys: &self.keys,
                    copies: &self.copies,
                    bus: &self.bus,
                    randomness: &self.randomness,
                    pace,
                    settings: &self.settings,
                    prefix: &self.prefix,
                };
                let run = launcher.launch(&actor, &asked, request.idempotency_key(), now).await?;
                let deployment = Deployment {
                    endpoint: &self.endpoint,
                    prefix: &self.prefix,
                    copy_key: self.copy_key.as_deref(),
                    settings: &self.settings,
                };
                Ok(launches::launched(&run, &deployment, request.wants_text()))
            }
            _ => Err(Problem::new(404, "Not Found")),
        }
    }
}
