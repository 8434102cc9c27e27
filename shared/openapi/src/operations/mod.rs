//! What each operation takes and answers. One file per kind.

mod identity;
mod runs;
mod secrets;

use http_api::Operation;
use http_api::operation::Function;
use serde_json::{Value, json};

use crate::schemas::Schemas;

/// An operation, as far as the table of operations does not say it.
pub(crate) struct Described {
    pub(crate) summary: &'static str,
    pub(crate) description: String,
    /// Beyond those of the path and the workspace.
    pub(crate) parameters: Vec<Value>,
    pub(crate) body: Option<Value>,
    /// Its status, and the answer.
    pub(crate) success: (u16, Value),
    /// Beyond those that its credential, its path and its body imply.
    pub(crate) errors: Vec<u16>,
    /// Those that they imply and that cannot come.
    pub(crate) never: Vec<u16>,
}

impl Described {
    fn new(summary: &'static str, description: impl Into<String>, success: (u16, Value)) -> Self {
        let description = description.into();
        Self { summary, description, parameters: vec![], body: None, success, errors: vec![], never: vec![] }
    }

    fn parameters(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn errors(mut self, errors: &[u16]) -> Self {
        self.errors.extend(errors);
        self
    }

    fn never(mut self, errors: &[u16]) -> Self {
        self.never.extend(errors);
        self
    }
}

/// What an operation takes and answers.
pub(crate) fn describe(operation: Operation, schemas: &mut Schemas) -> Described {
    match operation {
        Operation::ListPipelineSecrets => secrets::list(schemas),
        Operation::CreatePipelineSecret => secrets::create(schemas),
        Operation::ValidatePipelineSecretName => secrets::validate(schemas),
        Operation::ImportPipelineSecrets => secrets::import(schemas),
        Operation::DescribePipelineSecret => secrets::describe(schemas),
        Operation::UpdatePipelineSecret => secrets::update(schemas),
        Operation::DeletePipelineSecret => secrets::delete(),
        Operation::ListPipelineSecretHistory => secrets::history(schemas),
        Operation::ListAuditEvents => secrets::audit_events(schemas),
        Operation::LaunchRun => runs::launch(schemas),
        Operation::PreviewLaunch => runs::preview(schemas),
        Operation::ListRuns => runs::list(schemas),
        Operation::DescribeRun => runs::describe(schemas),
        Operation::ClaimRun => runs::claim(schemas),
        Operation::RecordHeadJob => runs::head_job(schemas),
        Operation::RenewLease => runs::renew_lease(schemas),
        Operation::EndRun => runs::end(schemas),
        Operation::TraceCreate => runs::trace_create(schemas),
        Operation::TraceBegin => runs::trace(schemas, "Nextflow begins", "A heartbeat.", TRACE_BEGIN),
        Operation::TraceProgress => {
            runs::trace(schemas, "Nextflow goes on", "A heartbeat, at most once a second.", TRACE_PROGRESS)
        }
        Operation::TraceHeartbeat => {
            runs::trace(schemas, "Nextflow is alive", "A heartbeat, once a minute.", r#"{"progress": {}}"#)
        }
        Operation::TraceComplete => runs::trace(
            schemas,
            "Nextflow is done",
            "Notes how the run ended. With a recorded head job it is over when AWS Batch says so; otherwise now.",
            TRACE_COMPLETE,
        ),
        Operation::DescribeService => identity::service(schemas),
        Operation::DescribeUser => identity::user(schemas),
        Operation::ListUserWorkspaces => identity::user_workspaces(schemas),
        Operation::ListTokens => identity::tokens(schemas),
        Operation::CreateToken => identity::create_token(schemas),
        Operation::DeleteToken => identity::delete_token(),
        Operation::ListOrganizations => identity::organizations(schemas),
        Operation::ListWorkspaces => identity::workspaces(schemas),
        Operation::DescribeWorkspace => identity::workspace(schemas),
        Operation::UpdateWorkspacePlatforms => identity::platforms(schemas),
        Operation::ListParticipants => identity::participants(schemas),
        Operation::AddParticipant => identity::add_participant(schemas),
        Operation::UpdateParticipantRole => identity::participant_role(schemas),
        Operation::DeleteParticipant => identity::delete_participant(),
    }
}

const TRACE_BEGIN: &str = r#"{"workflow": {"id": "0a1bABCDEFGHIJ"}}"#;
const TRACE_PROGRESS: &str = r#"{"tasks": [], "progress": {}}"#;
const TRACE_COMPLETE: &str = r#"{"workflow": {"success": true, "exitStatus": 0, "errorMessage": null}}"#;

/// The heading under which an operation stands.
pub(crate) fn tag(operation: Operation) -> &'static str {
    match operation.function() {
        Function::ReadSecrets if operation.path().starts_with("/runs") => RUNS,
        Function::ReadSecrets | Function::WriteSecrets => SECRETS,
        Function::LaunchRun => RUNS,
        Function::ClaimRun | Function::ReportRun => REPORTS,
        Function::Identity if operation.path().starts_with("/orgs") => WORKSPACES,
        Function::Identity => USERS,
    }
}

const SECRETS: &str = "Pipeline secrets";
const RUNS: &str = "Runs";
const REPORTS: &str = "What runs report";
const USERS: &str = "Users and tokens";
const WORKSPACES: &str = "Workspaces and participants";

/// The headings.
pub(crate) fn tags() -> Value {
    let tag = |name: &str, description: &str| json!({"name": name, "description": description});
    json!([
        tag(SECRETS, "Their names, dates and versions for every member; their values for nobody but runs."),
        tag(RUNS, "Launches, and the receipts of what runs were given."),
        tag(REPORTS, "Under the run token or the claim token of a launch, which can do nothing else."),
        tag(USERS, "The caller, and the caller's own tokens."),
        tag(
            WORKSPACES,
            "Who takes part in which role. Operators declare users and workspaces by invoking `identity`."
        ),
    ])
}

/// JSON that stands in this source.
fn example(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
