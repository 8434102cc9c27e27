//! Metadata of secrets, receipts of runs, the audit trail: everything that a member may read. This function has no
//! right on the envelope key and links no KMS client.

use domain::Timestamp;
use domain::ids::RunId;
use domain::ports::{ListRuns, ReadAudit, ReadMembership, ReadRuns, ReadSecrets};
use domain::run::State;
use domain::settings::Settings;
use domain::use_cases::{read_runs, read_secrets};
use http_api::wire::audit::AuditTrail;
use http_api::wire::runs::{Receipt, RunList, lines};
use http_api::wire::secrets::{History, SecretAnswer, SecretList, etag};
use http_api::{Answer, Operation, Problem, Request};

/// What the function holds between requests.
pub struct Handler<Store> {
    /// The table.
    pub store: Store,
    /// The deployment's choices.
    pub settings: Settings,
}

impl<Store> Handler<Store>
where
    Store: ReadMembership + ReadSecrets + ReadRuns + ListRuns + ReadAudit,
{
    /// Answers one request.
    pub async fn handle(&self, request: Request<'_>) -> Result<Answer, Problem> {
        let (store, settings) = (&self.store, &self.settings);
        let (actor, workspace) = (request.actor()?, request.workspace()?);
        match request.operation {
            Operation::ListPipelineSecrets => {
                let secrets = read_secrets::list(store, settings, &actor, workspace).await?;
                Ok(Answer::json(200, &SecretList::new(&secrets)))
            }
            Operation::ValidatePipelineSecretName => {
                let name = request.query("name").unwrap_or_default();
                read_secrets::validate_name(store, settings, &actor, workspace, name).await?;
                Ok(Answer::no_content())
            }
            Operation::DescribePipelineSecret => {
                let id = request.secret_id()?;
                let secret = read_secrets::describe(store, settings, &actor, workspace, id).await?;
                Ok(Answer::json(200, &SecretAnswer::from(&secret)).with_header("etag", etag(&secret)))
            }
            Operation::ListPipelineSecretHistory => {
                let id = request.secret_id()?;
                let (secret, replaced) =
                    read_secrets::history(store, settings, &actor, workspace, id).await?;
                Ok(Answer::json(200, &History::new(&secret, &replaced)))
            }
            Operation::DescribeRun => {
                let id = request.run_id()?;
                let run = read_runs::describe(store, settings, &actor, workspace, &id).await?;
                Ok(match request.wants_text() {
                    true => Answer::text(
                        200,
                        lines(&[
                            ("workflowId", Some(run.id.as_str())),
                            ("state", Some(run.life.state.as_str())),
                        ]),
                    ),
                    false => Answer::json(200, &Receipt::from(&run)),
                })
            }
            Operation::ListRuns => {
                let limit = request.limit("max", 50, 100)?;
                let after = request.query("after").map(RunId::new).transpose()?;
                let state = request.query("state").map(state).transpose()?;
                let runs =
                    read_runs::list(store, settings, &actor, workspace, state, limit, after.as_ref()).await?;
                Ok(Answer::json(200, &RunList::new(&runs, limit)))
            }
            Operation::ListAuditEvents => {
                let month = request.month(Timestamp::now())?;
                let limit = request.limit("max", 100, 1_000)?;
                let records =
                    read_secrets::audit_trail(store, settings, &actor, workspace, &month, limit).await?;
                Ok(Answer::json(200, &AuditTrail::new(&month, &records)))
            }
            _ => Err(Problem::new(404, "Not Found")),
        }
    }
}

fn state(text: &str) -> Result<State, Problem> {
    State::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
        let names = State::ALL.map(State::as_str).join(", ");
        Problem::bad_request(format!("state must be one of {names}."))
    })
}
