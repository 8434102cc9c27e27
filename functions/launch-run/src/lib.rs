//! Launches and previews. This function can open values and create copies; it cannot read or delete
//! copies.

use domain::Context;
use domain::iam::CopyLocation;
use domain::use_cases::launch::Launcher;
use domain::use_cases::preview::preview;
use http_api::wire::launches::{self, Deployment, Format, LaunchBody};
use http_api::{Answer, Handle, Operation, Problem, Request};

/// Answers the requests of this function.
pub struct Handler {
    /// Launches runs.
    pub launcher: Launcher,
    /// The public base URL of the API.
    pub endpoint: String,
    /// The KMS key of the copies, unless it is the AWS managed key of AWS Secrets Manager.
    pub copy_key: Option<String>,
    /// Where copies are stored, except those of runs in environments.
    pub home: CopyLocation,
}

impl Handle for Handler {
    async fn handle(&self, request: Request<'_>, context: &Context<'_>) -> Result<Answer, Problem> {
        let (actor, workspace) = (request.actor()?, request.workspace()?);
        let body: LaunchBody = request.json()?;
        let format = match request.wants_text() {
            true => Format::Text,
            false => Format::Json { report: body.reports() },
        };
        let launch = launches::request(body, workspace)?;
        let deployment = Deployment {
            endpoint: &self.endpoint,
            prefix: &self.launcher.prefix,
            copy_key: self.copy_key.as_deref(),
            home: &self.home,
            settings: context.settings,
        };
        match request.operation {
            Operation::PreviewLaunch => {
                let preview = preview(&*self.launcher.store, &actor, &launch, context).await?;
                Ok(launches::previewed(&launch, actor.user, &preview, &deployment))
            }
            Operation::LaunchRun => {
                let run = self.launcher.launch(&actor, &launch, request.idempotency_key(), context).await?;
                Ok(launches::launched(&run, &deployment, format))
            }
            _ => Err(Problem::new(404, "Not Found")),
        }
    }
}
