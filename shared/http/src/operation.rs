//! The table of operations: routes, functions, credentials and permissions. Routing, the OpenAPI
//! document, the authorization matrix and the check of the deployed routes use it.

use domain::role::Permission;
use domain::token_scope::TokenScope;

/// The function that serves an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    /// `read-secrets`
    ReadSecrets,
    /// `write-secrets`
    WriteSecrets,
    /// `launch-run`
    LaunchRun,
    /// `claim-run`
    ClaimRun,
    /// `report-run`
    ReportRun,
    /// `identity`
    Identity,
}

/// The credential that an operation requires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credential {
    /// No credential.
    None,
    /// A personal access token or a JSON Web Token. The authorizer checks it.
    User,
    /// The run token. The function checks it.
    Run,
    /// The claim token. The function checks it.
    Claim,
}

/// The permission that an operation requires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// None: the operation applies to the caller's data or to the run of the token.
    Own,
    /// The permission in the workspace of the query. Without a workspace, the operation applies to
    /// the caller's data.
    InWorkspace(Permission),
    /// The permission in the workspace of the path.
    OfPath(Permission),
}

/// What happens to a body field or query parameter that the operation does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnknownNames {
    /// The request is refused: a misspelled name must not select more than the name would.
    Refused,
    /// The request is refused if the name differs from a known one only by case or punctuation.
    /// Seqera Platform's clients may send other names.
    SimilarRefused,
    /// Ignored. Nextflow's messages contain more than is read.
    Ignored,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $method:literal $path:literal, $function:ident, $credential:ident, $needs:expr, $scopes:expr;)*) => {
        /// An operation of the API.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// Every operation, in the order of the OpenAPI document.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the operation ID, for logs and for the OpenAPI document.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// Returns the HTTP method.
            #[must_use]
            pub fn method(self) -> &'static str {
                match self { $(Self::$name => $method),* }
            }

            /// Returns the path with parameters in braces.
            #[must_use]
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path),* }
            }

            /// Returns the route key of API Gateway: `GET /pipeline-secrets/{secretId}`.
            #[must_use]
            pub fn route_key(self) -> &'static str {
                match self { $(Self::$name => concat!($method, " ", $path)),* }
            }

            /// Returns the function that serves the operation.
            #[must_use]
            pub fn function(self) -> Function {
                match self { $(Self::$name => Function::$function),* }
            }

            /// Returns the credential that the operation requires.
            #[must_use]
            pub fn credential(self) -> Credential {
                match self { $(Self::$name => Credential::$credential),* }
            }

            /// Returns the permission that the operation requires.
            #[must_use]
            pub fn needs(self) -> Needs {
                match self { $(Self::$name => $needs),* }
            }

            /// Returns the scopes of the personal access tokens that can be used for the operation.
            /// Empty if no personal access token can.
            #[must_use]
            pub fn scopes(self) -> &'static [TokenScope] {
                match self { $(Self::$name => $scopes),* }
            }
        }
    };
}

use Needs::{InWorkspace, OfPath, Own};
use Permission as P;

/// Only full tokens.
const FULL: &[TokenScope] = &[TokenScope::All];
/// Tokens that can read.
const READ: &[TokenScope] = &[TokenScope::All, TokenScope::Read];
/// Tokens that can launch.
const LAUNCH: &[TokenScope] = &[TokenScope::All, TokenScope::Launch];
/// Every personal access token: what clients call before anything else, and what a launcher asks
/// about its runs.
const ANY: &[TokenScope] = &TokenScope::ALL;
/// No personal access token: the operation needs another credential, or none.
const NONE: &[TokenScope] = &[];

operations! {
    /// List secrets.
    ListPipelineSecrets = "ListPipelineSecrets", "GET" "/pipeline-secrets", ReadSecrets, User, InWorkspace(P::ReadSecrets), READ;
    /// Create a secret.
    CreatePipelineSecret = "CreatePipelineSecret", "POST" "/pipeline-secrets", WriteSecrets, User, InWorkspace(P::WriteSecrets), FULL;
    /// Check a secret name.
    ValidatePipelineSecretName = "ValidatePipelineSecretName", "GET" "/pipeline-secrets/validate", ReadSecrets, User, InWorkspace(P::ReadSecrets), READ;
    /// Import secrets.
    ImportPipelineSecrets = "ImportPipelineSecrets", "POST" "/pipeline-secrets/import", WriteSecrets, User, InWorkspace(P::WriteSecrets), FULL;
    /// Describe a secret.
    DescribePipelineSecret = "DescribePipelineSecret", "GET" "/pipeline-secrets/{secretId}", ReadSecrets, User, InWorkspace(P::ReadSecrets), READ;
    /// Update a secret.
    UpdatePipelineSecret = "UpdatePipelineSecret", "PUT" "/pipeline-secrets/{secretId}", WriteSecrets, User, InWorkspace(P::WriteSecrets), FULL;
    /// Delete a secret.
    DeletePipelineSecret = "DeletePipelineSecret", "DELETE" "/pipeline-secrets/{secretId}", WriteSecrets, User, InWorkspace(P::DeleteSecrets), FULL;
    /// List a secret's versions.
    ListPipelineSecretHistory = "ListPipelineSecretHistory", "GET" "/pipeline-secrets/{secretId}/history", ReadSecrets, User, InWorkspace(P::ReadSecrets), READ;

    /// Launch a run with its secrets.
    LaunchRun = "LaunchRun", "POST" "/launches", LaunchRun, User, InWorkspace(P::Launch), LAUNCH;
    /// Preview a launch.
    PreviewLaunch = "PreviewLaunch", "POST" "/launches/preview", LaunchRun, User, InWorkspace(P::Launch), LAUNCH;
    /// List runs.
    ListRuns = "ListRuns", "GET" "/runs", ReadSecrets, User, InWorkspace(P::ReadRuns), READ;
    /// Describe a run.
    DescribeRun = "DescribeRun", "GET" "/runs/{workflowId}", ReadSecrets, User, InWorkspace(P::ReadRuns), ANY;
    /// Cancel a run.
    CancelRun = "CancelRun", "POST" "/workflow/{workflowId}/cancel", ReportRun, User, InWorkspace(P::CancelRuns), FULL;
    /// Read the audit trail.
    ListAuditEvents = "ListAuditEvents", "GET" "/audit-events", ReadSecrets, User, InWorkspace(P::ReadAudit), READ;

    /// Claim a run's secrets.
    ClaimRun = "ClaimRun", "POST" "/runs/{workflowId}/claim", ClaimRun, Claim, Own, NONE;
    /// Record the head job.
    RecordHeadJob = "RecordHeadJob", "PUT" "/runs/{workflowId}/head-job", ReportRun, Run, Own, NONE;
    /// Send a heartbeat.
    RenewLease = "RenewLease", "POST" "/runs/{workflowId}/heartbeat", ReportRun, Run, Own, NONE;
    /// Report the end.
    EndRun = "EndRun", "POST" "/runs/{workflowId}/end", ReportRun, Run, Own, NONE;
    /// Announce the run (Nextflow).
    TraceCreate = "TraceCreate", "POST" "/trace/create", ReportRun, Run, Own, NONE;
    /// Report the start (Nextflow).
    TraceBegin = "TraceBegin", "PUT" "/trace/{workflowId}/begin", ReportRun, Run, Own, NONE;
    /// Report progress (Nextflow).
    TraceProgress = "TraceProgress", "PUT" "/trace/{workflowId}/progress", ReportRun, Run, Own, NONE;
    /// Send a heartbeat (Nextflow).
    TraceHeartbeat = "TraceHeartbeat", "PUT" "/trace/{workflowId}/heartbeat", ReportRun, Run, Own, NONE;
    /// Report the end (Nextflow).
    TraceComplete = "TraceComplete", "PUT" "/trace/{workflowId}/complete", ReportRun, Run, Own, NONE;

    /// Describe the service.
    DescribeService = "DescribeService", "GET" "/service-info", Identity, None, Own, NONE;
    /// Describe the caller.
    DescribeUser = "DescribeUser", "GET" "/user-info", Identity, User, Own, ANY;
    /// List the caller's organizations and workspaces.
    ListUserWorkspaces = "ListUserWorkspaces", "GET" "/user/{userId}/workspaces", Identity, User, Own, READ;
    /// List the caller's tokens.
    ListTokens = "ListTokens", "GET" "/tokens", Identity, User, Own, READ;
    /// Create a token.
    CreateToken = "CreateToken", "POST" "/tokens", Identity, User, Own, FULL;
    /// Revoke a token.
    DeleteToken = "DeleteToken", "DELETE" "/tokens/{tokenId}", Identity, User, Own, FULL;
    /// List the caller's organizations.
    ListOrganizations = "ListOrganizations", "GET" "/orgs", Identity, User, Own, READ;
    /// Describe an organization.
    DescribeOrganization = "DescribeOrganization", "GET" "/orgs/{orgId}", Identity, User, Own, READ;
    /// List an organization's members.
    ListOrganizationMembers = "ListOrganizationMembers", "GET" "/orgs/{orgId}/members", Identity, User, Own, READ;
    /// List an organization's workspaces.
    ListWorkspaces = "ListWorkspaces", "GET" "/orgs/{orgId}/workspaces", Identity, User, Own, READ;
    /// Describe a workspace.
    DescribeWorkspace = "DescribeWorkspace", "GET" "/orgs/{orgId}/workspaces/{workspaceId}", Identity, User, OfPath(P::ReadWorkspace), READ;
    /// Set the platforms of a workspace.
    UpdateWorkspacePlatforms = "UpdateWorkspacePlatforms", "PUT" "/orgs/{orgId}/workspaces/{workspaceId}/platforms", Identity, User, OfPath(P::AdministerWorkspace), FULL;
    /// Delete a workspace.
    DeleteWorkspace = "DeleteWorkspace", "DELETE" "/orgs/{orgId}/workspaces/{workspaceId}", Identity, User, OfPath(P::DeleteWorkspace), FULL;
    /// List participants.
    ListParticipants = "ListParticipants", "GET" "/orgs/{orgId}/workspaces/{workspaceId}/participants", Identity, User, OfPath(P::ReadWorkspace), READ;
    /// Add a participant.
    AddParticipant = "AddParticipant", "PUT" "/orgs/{orgId}/workspaces/{workspaceId}/participants/add", Identity, User, OfPath(P::AdministerWorkspace), FULL;
    /// Change a participant's role.
    UpdateParticipantRole = "UpdateParticipantRole", "PUT" "/orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}/role", Identity, User, OfPath(P::AdministerWorkspace), FULL;
    /// Remove a participant.
    DeleteParticipant = "DeleteParticipant", "DELETE" "/orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}", Identity, User, OfPath(P::ReadWorkspace), FULL;
    /// Leave a workspace.
    LeaveWorkspace = "LeaveWorkspace", "DELETE" "/orgs/{orgId}/workspaces/{workspaceId}/participants", Identity, User, OfPath(P::ReadWorkspace), FULL;

    /// List credentials of compute environments.
    ListCredentials = "ListCredentials", "GET" "/credentials", Identity, User, InWorkspace(P::ReadWorkspace), READ;
    /// Create credentials.
    CreateCredentials = "CreateCredentials", "POST" "/credentials", Identity, User, InWorkspace(P::AdministerWorkspace), FULL;
    /// Describe credentials.
    DescribeCredentials = "DescribeCredentials", "GET" "/credentials/{credentialsId}", Identity, User, InWorkspace(P::ReadWorkspace), READ;
    /// Update credentials.
    UpdateCredentials = "UpdateCredentials", "PUT" "/credentials/{credentialsId}", Identity, User, InWorkspace(P::AdministerWorkspace), FULL;
    /// Delete credentials.
    DeleteCredentials = "DeleteCredentials", "DELETE" "/credentials/{credentialsId}", Identity, User, InWorkspace(P::AdministerWorkspace), FULL;
    /// Check the role of credentials.
    ValidateCredentials = "ValidateCredentials", "POST" "/credentials/{credentialsId}/validate", Identity, User, InWorkspace(P::AdministerWorkspace), FULL;
    /// List compute environments.
    ListComputeEnvs = "ListComputeEnvs", "GET" "/compute-envs", Identity, User, InWorkspace(P::ReadWorkspace), READ;
    /// Create a compute environment.
    CreateComputeEnv = "CreateComputeEnv", "POST" "/compute-envs", Identity, User, InWorkspace(P::AdministerWorkspace), FULL;
    /// Describe a compute environment.
    DescribeComputeEnv = "DescribeComputeEnv", "GET" "/compute-envs/{computeEnvId}", Identity, User, InWorkspace(P::ReadWorkspace), READ;
    /// Update a compute environment.
    UpdateComputeEnv = "UpdateComputeEnv", "PUT" "/compute-envs/{computeEnvId}", Identity, User, InWorkspace(P::AdministerWorkspace), FULL;
    /// Delete a compute environment.
    DeleteComputeEnv = "DeleteComputeEnv", "DELETE" "/compute-envs/{computeEnvId}", Identity, User, InWorkspace(P::AdministerWorkspace), FULL;
    /// Check the role of a compute environment.
    ValidateComputeEnv = "ValidateComputeEnv", "POST" "/compute-envs/{computeEnvId}/validate", Identity, User, InWorkspace(P::AdministerWorkspace), FULL;
}

impl Operation {
    /// Returns the operation of an API Gateway route key.
    #[must_use]
    pub fn of_route(route_key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.route_key() == route_key)
    }

    /// Returns whether the operation receives a message of Nextflow (`-with-tower`). An error would
    /// abort the user's pipeline, so these operations are also answered, without effect, while a
    /// restored table is not reconciled (`tests/real-clients/tests/nextflow/messages.rs`).
    #[must_use]
    pub fn is_trace(self) -> bool {
        matches!(
            self,
            Self::TraceCreate
                | Self::TraceBegin
                | Self::TraceProgress
                | Self::TraceHeartbeat
                | Self::TraceComplete
        )
    }

    /// Returns whether the operation needs `workspaceId`, because no user has what it is about.
    #[must_use]
    pub fn requires_workspace(self) -> bool {
        matches!(self.needs(), InWorkspace(_))
            && self.function() == Function::Identity
            && !matches!(self, Self::ListCredentials | Self::ListComputeEnvs)
    }

    /// Returns the query parameters of the operation, except for `workspaceId`.
    #[must_use]
    pub fn query(self) -> &'static [&'static str] {
        match self {
            Self::ListPipelineSecrets | Self::ListPipelineSecretHistory => &["authors"],
            Self::ValidatePipelineSecretName => &["name"],
            Self::ImportPipelineSecrets => &["mode"],
            Self::ListRuns => &["max", "after", "state"],
            Self::ListAuditEvents => &["max", "month"],
            Self::ListOrganizationMembers | Self::ListParticipants => &["max", "offset", "search"],
            Self::ListCredentials => &["platformId"],
            Self::ListComputeEnvs => &["status"],
            Self::CancelRun | Self::ValidateCredentials | Self::ValidateComputeEnv => &["force"],
            _ => &[],
        }
    }

    /// Returns how the operation treats unknown body fields and query parameters.
    #[must_use]
    pub fn unknown_names(self) -> UnknownNames {
        match self {
            Self::ImportPipelineSecrets
            | Self::LaunchRun
            | Self::PreviewLaunch
            | Self::ListRuns
            | Self::DescribeRun
            | Self::CancelRun
            | Self::ListAuditEvents
            | Self::CreateToken
            | Self::UpdateWorkspacePlatforms => UnknownNames::Refused,
            _ if self.is_trace() => UnknownNames::Ignored,
            _ => UnknownNames::SimilarRefused,
        }
    }

    /// Returns the maximum body size in bytes.
    #[must_use]
    pub fn max_body(self) -> usize {
        match self {
            Self::ImportPipelineSecrets => 1024 * 1024,
            // Nextflow's messages contain task lists and scripts. Lambda's limit is 6 MB, including
            // escapes.
            _ if self.is_trace() => 6 * 1024 * 1024,
            _ => 256 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn routes_and_ids_are_unique() {
        let routes: BTreeSet<_> = Operation::ALL.iter().map(|operation| operation.route_key()).collect();
        let ids: BTreeSet<_> = Operation::ALL.iter().map(|operation| operation.id()).collect();
        assert_eq!(routes.len(), Operation::ALL.len());
        assert_eq!(ids.len(), Operation::ALL.len());
    }

    /// The operations of each limited scope. The head-job script calls launches, previews and runs,
    /// and clients describe their user first.
    #[test]
    fn a_limited_token_can_be_used_for_these_operations_only() {
        let of = |scope| {
            let allowed = Operation::ALL.iter().filter(|operation| operation.scopes().contains(&scope));
            allowed.map(|operation| operation.id()).collect::<Vec<_>>()
        };
        assert_eq!(of(TokenScope::Launch), ["LaunchRun", "PreviewLaunch", "DescribeRun", "DescribeUser"]);
        let users = |operation: &&Operation| operation.credential() == Credential::User;
        for operation in Operation::ALL {
            let is_for_tokens = operation.scopes().contains(&TokenScope::All);
            assert_eq!(is_for_tokens, users(&operation), "{}", operation.id());
        }
        let reads: Vec<_> = Operation::ALL.iter().filter(users).filter(|it| it.method() == "GET").collect();
        assert_eq!(of(TokenScope::Read), reads.iter().map(|operation| operation.id()).collect::<Vec<_>>());
        let all = Operation::ALL.iter().filter(users).count();
        assert_eq!(of(TokenScope::All).len(), all);
    }

    #[test]
    fn imports_and_nextflow_messages_have_larger_body_limits() {
        for operation in Operation::ALL {
            let bytes = match operation.path() {
                "/pipeline-secrets/import" => 1_048_576,
                path if path.starts_with("/trace/") => 6_291_456,
                _ => 262_144,
            };
            assert_eq!(operation.max_body(), bytes, "{}", operation.id());
        }
    }
}
