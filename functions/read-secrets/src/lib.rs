//! Metadata of secrets, receipts of runs, and the audit trail: everything that participants can
//! read. This function cannot use the envelope key and does not link a KMS client.

use std::rc::Rc;

use domain::Context;
use domain::ids::{RunId, UserId};
use domain::ports::{AuditReader, ReadUserNames, RunReader, SecretReader};
use domain::run::State;
use domain::use_cases::{read_runs, read_secrets};
use http_api::wire::audit::AuditTrail;
use http_api::wire::runs::{Receipt, RunList, lines};
use http_api::wire::secrets::{History, SecretAnswer, SecretList, UserNames, etag};
use http_api::{Answer, Handle, Operation, Problem, Request};

/// Answers the requests of this function.
pub struct Handler {
    /// The table, for secrets.
    pub secrets: Rc<dyn SecretReader>,
    /// The table, for the audit trail.
    pub audit: Rc<dyn AuditReader>,
    /// The table, for runs.
    pub runs: Rc<dyn RunReader>,
    /// The table, for the names of authors.
    pub names: Rc<dyn ReadUserNames>,
}

impl Handler {
    /// Returns the names of authors, if the request asks for them. Other clients do not pay for the
    /// call.
    async fn names(
        &self,
        wanted: bool,
        authors: impl Iterator<Item = UserId>,
    ) -> Result<Option<UserNames>, Problem> {
        match wanted {
            true => Ok(Some(self.names.user_names(&authors.collect()).await?)),
            false => Ok(None),
        }
    }
}

impl Handle for Handler {
    async fn handle(&self, request: Request<'_>, context: &Context<'_>) -> Result<Answer, Problem> {
        let (secrets, runs, settings) = (&*self.secrets, &*self.runs, context.settings);
        let (actor, workspace) = (request.actor()?, request.workspace()?);
        match request.operation {
            Operation::ListPipelineSecrets => {
                let wanted = request.flag("authors")?;
                let found = read_secrets::list(secrets, settings, &actor, workspace).await?;
                let names = self.names(wanted, found.iter().map(|secret| secret.updated_by)).await?;
                Ok(Answer::json(200, &SecretList::new(&found, names.as_ref())))
            }
            Operation::ValidatePipelineSecretName => {
                let name = request.query("name").unwrap_or_default();
                read_secrets::validate_name(secrets, settings, &actor, workspace, name).await?;
                Ok(Answer::no_content())
            }
            Operation::DescribePipelineSecret => {
                let id = request.secret_id()?;
                let secret = read_secrets::describe(secrets, settings, &actor, workspace, id).await?;
                Ok(Answer::json(200, &SecretAnswer::from(&secret)).with_header("etag", etag(&secret)))
            }
            Operation::ListPipelineSecretHistory => {
                let (id, wanted) = (request.secret_id()?, request.flag("authors")?);
                let (secret, replaced) =
                    read_secrets::history(secrets, settings, &actor, workspace, id).await?;
                let authors = replaced.iter().map(|old| old.written_by).chain([secret.updated_by]);
                let names = self.names(wanted, authors).await?;
                Ok(Answer::json(200, &History::new(&secret, &replaced, names.as_ref())))
            }
            Operation::DescribeRun => {
                let id = request.run_id()?;
                let run = read_runs::describe(runs, settings, &actor, workspace, &id).await?;
                Ok(match request.wants_text() {
                    true => Answer::text(
                        200,
                        lines(&[
                            ("workflowId", Some(run.id.as_str())),
                            ("state", Some(run.lifecycle.state.as_str())),
                        ]),
                    ),
                    false => Answer::json(200, &Receipt::from(&run)),
                })
            }
            Operation::ListRuns => {
                let limit = request.limit("max", 50, 100)?;
                let after = request.query("after").map(RunId::new).transpose()?;
                let state = request.query("state").map(str::parse::<State>).transpose()?;
                let page =
                    read_runs::list(runs, settings, &actor, workspace, state, limit, after.as_ref()).await?;
                Ok(Answer::json(200, &RunList::new(&page, limit)))
            }
            Operation::ListAuditEvents => {
                let month = request.month(context.now)?;
                let limit = request.limit("max", 100, 1_000)?;
                let records =
                    read_secrets::audit_trail(&*self.audit, settings, &actor, workspace, &month, limit)
                        .await?;
                Ok(Answer::json(200, &AuditTrail::new(&month, &records)))
            }
            _ => Err(Problem::new(404, "Not Found")),
        }
    }
}
