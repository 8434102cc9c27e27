//! Descriptions of the operations: one file per kind.

mod environments;
mod identity;
mod runs;
mod secrets;

use http_api::Operation;
use http_api::operation::{Function, Needs};
use serde_json::{Value, json};

use crate::schemas::Schemas;

/// The parts of an operation's description that the table of operations does not contain.
pub(crate) struct Described {
    pub(crate) summary: &'static str,
    pub(crate) description: String,
    /// Parameters other than those of the path and `workspaceId`.
    pub(crate) parameters: Vec<Value>,
    pub(crate) body: Option<Value>,
    /// The status and the response object.
    pub(crate) success: (u16, Value),
    /// Error statuses that the credential, the path and the body do not imply.
    pub(crate) errors: Vec<u16>,
    /// Error statuses that they imply but that this operation never returns.
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
        Operation::CancelRun => runs::cancel(),
        Operation::ClaimRun => runs::claim(schemas),
        Operation::RecordHeadJob => runs::head_job(schemas),
        Operation::RenewLease => runs::renew_lease(schemas),
        Operation::EndRun => runs::end(schemas),
        Operation::TraceCreate => runs::trace_create(schemas),
        Operation::TraceBegin => {
            runs::trace(schemas, "Report the start (Nextflow)", "Extends the run's lease.", TRACE_BEGIN)
        }
        Operation::TraceProgress => runs::trace(
            schemas,
            "Report progress (Nextflow)",
            "Extends the run's lease. Nextflow sends this message at most once a second.",
            TRACE_PROGRESS,
        ),
        Operation::TraceHeartbeat => runs::trace(
            schemas,
            "Send a heartbeat (Nextflow)",
            "Extends the run's lease. Nextflow sends this message once a minute.",
            r#"{"progress": {}}"#,
        ),
        Operation::TraceComplete => runs::trace(schemas, "Report the end (Nextflow)", END, TRACE_COMPLETE),
        Operation::DescribeService => identity::service(schemas),
        Operation::DescribeUser => identity::user(schemas),
        Operation::ListUserWorkspaces => identity::user_workspaces(schemas),
        Operation::ListTokens => identity::tokens(schemas),
        Operation::CreateToken => identity::create_token(schemas),
        Operation::DeleteToken => identity::delete_token(),
        Operation::ListOrganizations => identity::organizations(schemas),
        Operation::DescribeOrganization => identity::organization(schemas),
        Operation::ListOrganizationMembers => identity::members(schemas),
        Operation::ListWorkspaces => identity::workspaces(schemas),
        Operation::DescribeWorkspace => identity::workspace(schemas),
        Operation::UpdateWorkspacePlatforms => identity::platforms(schemas),
        Operation::ListParticipants => identity::participants(schemas),
        Operation::AddParticipant => identity::add_participant(schemas),
        Operation::UpdateParticipantRole => identity::participant_role(schemas),
        Operation::DeleteParticipant => identity::delete_participant(),
        Operation::DeleteWorkspace => identity::delete_workspace(),
        Operation::LeaveWorkspace => identity::leave_workspace(),
        Operation::ListCredentials => environments::list_credentials(schemas),
        Operation::CreateCredentials => environments::create_credentials(schemas),
        Operation::DescribeCredentials => environments::describe_credentials(schemas),
        Operation::UpdateCredentials => environments::update_credentials(schemas),
        Operation::DeleteCredentials => environments::delete_credentials(),
        Operation::ValidateCredentials => environments::validate_credentials(schemas),
        Operation::ListComputeEnvs => environments::list(schemas),
        Operation::CreateComputeEnv => environments::create(schemas),
        Operation::DescribeComputeEnv => environments::describe(schemas),
        Operation::UpdateComputeEnv => environments::update(schemas),
        Operation::DeleteComputeEnv => environments::delete(),
        Operation::ValidateComputeEnv => environments::validate(schemas),
    }
}

/// Shared by the two operations that report the end of a run.
const END: &str = "Records how the run ended. If a head job is recorded, the run ends when AWS Batch reports the job's \
    final state; otherwise it ends now.";

const TRACE_BEGIN: &str = r#"{"workflow": {"id": "0a1bABCDEFGHIJ"}}"#;
const TRACE_PROGRESS: &str = r#"{"tasks": [], "progress": {}}"#;
const TRACE_COMPLETE: &str = r#"{"workflow": {"success": true, "exitStatus": 0, "errorMessage": null}}"#;

/// Returns the tag of an operation.
pub(crate) fn tag(operation: Operation) -> &'static str {
    match operation.function() {
        Function::ReadSecrets if operation.path().starts_with("/runs") => RUNS,
        Function::ReadSecrets | Function::WriteSecrets => SECRETS,
        Function::LaunchRun => RUNS,
        Function::ReportRun if operation == Operation::CancelRun => RUNS,
        Function::ClaimRun | Function::ReportRun => REPORTS,
        Function::Identity if operation.path().starts_with("/orgs") => WORKSPACES,
        Function::Identity if matches!(operation.needs(), Needs::InWorkspace(_)) => ENVIRONMENTS,
        Function::Identity => USERS,
    }
}

const SECRETS: &str = "Pipeline secrets";
const RUNS: &str = "Runs";
const REPORTS: &str = "Run reports";
const USERS: &str = "Users and tokens";
const WORKSPACES: &str = "Workspaces and participants";
const ENVIRONMENTS: &str = "Compute environments";

/// Returns the tags with their descriptions.
pub(crate) fn tags() -> Value {
    let tag = |name: &str, description: &str| json!({"name": name, "description": description});
    json!([
        tag(
            SECRETS,
            "Every participant can read the names, dates, and versions of secrets. Only runs can read values."
        ),
        tag(RUNS, "Launches, and receipts that list the secrets of each run."),
        tag(
            REPORTS,
            "Operations that require a run's run token or claim token. These tokens authorize nothing else."
        ),
        tag(USERS, "The caller and the caller's access tokens."),
        tag(
            WORKSPACES,
            "Participants and their roles. Operators declare users and workspaces by invoking the function `identity`."
        ),
        tag(
            ENVIRONMENTS,
            "AWS accounts and regions, other than those of the service, in which the runs of a workspace execute."
        ),
    ])
}

/// Parses an example of this module.
fn example(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
