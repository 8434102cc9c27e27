//! The one table of operations: routes, functions, credentials and permissions. Routing, the OpenAPI document, the
//! authorization matrix and the check of the deployed routes read it.

use domain::role::Permission;

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

/// What a caller has to present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credential {
    /// Nothing.
    None,
    /// A personal access token or a JSON Web Token, checked by the authorizer.
    User,
    /// The run token, checked by the function.
    Run,
    /// The claim token, checked by the function.
    Claim,
}

/// Where an operation's permission is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing beyond the credential: what is the caller's own.
    Own,
    /// The permission in the workspace that the query names; without one it is the caller's own.
    InWorkspace(Permission),
    /// The permission in the workspace that the path names.
    OfPath(Permission),
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $method:literal $path:literal, $function:ident, $credential:ident, $needs:expr;)*) => {
        /// Everything that the API can do.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// Every operation, in the order of the OpenAPI document.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The operation's id: in logs and in the OpenAPI document.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// The HTTP method.
            #[must_use]
            pub fn method(self) -> &'static str {
                match self { $(Self::$name => $method),* }
            }

            /// The path, with parameters in braces.
            #[must_use]
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path),* }
            }

            /// The route as API Gateway names it: `GET /pipeline-secrets/{secretId}`.
            #[must_use]
            pub fn route_key(self) -> &'static str {
                match self { $(Self::$name => concat!($method, " ", $path)),* }
            }

            /// The function that serves it.
            #[must_use]
            pub fn function(self) -> Function {
                match self { $(Self::$name => Function::$function),* }
            }

            /// What a caller has to present.
            #[must_use]
            pub fn credential(self) -> Credential {
                match self { $(Self::$name => Credential::$credential),* }
            }

            /// What a caller has to be allowed.
            #[must_use]
            pub fn needs(self) -> Needs {
                match self { $(Self::$name => $needs),* }
            }
        }
    };
}

use Needs::{InWorkspace, OfPath, Own};
use Permission as P;

operations! {
    /// List secrets.
    ListPipelineSecrets = "ListPipelineSecrets", "GET" "/pipeline-secrets", ReadSecrets, User, InWorkspace(P::ReadSecrets);
    /// Create a secret.
    CreatePipelineSecret = "CreatePipelineSecret", "POST" "/pipeline-secrets", WriteSecrets, User, InWorkspace(P::WriteSecrets);
    /// Whether a name could be taken.
    ValidatePipelineSecretName = "ValidatePipelineSecretName", "GET" "/pipeline-secrets/validate", ReadSecrets, User, InWorkspace(P::ReadSecrets);
    /// Create many secrets, or none.
    ImportPipelineSecrets = "ImportPipelineSecrets", "POST" "/pipeline-secrets/import", WriteSecrets, User, InWorkspace(P::WriteSecrets);
    /// Describe a secret.
    DescribePipelineSecret = "DescribePipelineSecret", "GET" "/pipeline-secrets/{secretId}", ReadSecrets, User, InWorkspace(P::ReadSecrets);
    /// Give a secret a new value.
    UpdatePipelineSecret = "UpdatePipelineSecret", "PUT" "/pipeline-secrets/{secretId}", WriteSecrets, User, InWorkspace(P::WriteSecrets);
    /// Delete a secret.
    DeletePipelineSecret = "DeletePipelineSecret", "DELETE" "/pipeline-secrets/{secretId}", WriteSecrets, User, InWorkspace(P::DeleteSecrets);
    /// The versions of a secret.
    ListPipelineSecretHistory = "ListPipelineSecretHistory", "GET" "/pipeline-secrets/{secretId}/history", ReadSecrets, User, InWorkspace(P::ReadSecrets);

    /// Launch a run with its secrets.
    LaunchRun = "LaunchRun", "POST" "/launches", LaunchRun, User, InWorkspace(P::Launch);
    /// What a launch would do.
    PreviewLaunch = "PreviewLaunch", "POST" "/launches/preview", LaunchRun, User, InWorkspace(P::Launch);
    /// List runs.
    ListRuns = "ListRuns", "GET" "/runs", ReadSecrets, User, InWorkspace(P::ReadRuns);
    /// The receipt of a run.
    DescribeRun = "DescribeRun", "GET" "/runs/{workflowId}", ReadSecrets, User, InWorkspace(P::ReadRuns);
    /// Read the audit trail.
    ListAuditEvents = "ListAuditEvents", "GET" "/audit-events", ReadSecrets, User, InWorkspace(P::ReadAudit);

    /// Use the claim token.
    ClaimRun = "ClaimRun", "POST" "/runs/{workflowId}/claim", ClaimRun, Claim, Own;
    /// Record the head job.
    RecordHeadJob = "RecordHeadJob", "PUT" "/runs/{workflowId}/head-job", ReportRun, Run, Own;
    /// Renew the lease.
    RenewLease = "RenewLease", "POST" "/runs/{workflowId}/heartbeat", ReportRun, Run, Own;
    /// Report the end.
    EndRun = "EndRun", "POST" "/runs/{workflowId}/end", ReportRun, Run, Own;
    /// Nextflow's first message.
    TraceCreate = "TraceCreate", "POST" "/trace/create", ReportRun, Run, Own;
    /// Nextflow begins.
    TraceBegin = "TraceBegin", "PUT" "/trace/{workflowId}/begin", ReportRun, Run, Own;
    /// Nextflow goes on.
    TraceProgress = "TraceProgress", "PUT" "/trace/{workflowId}/progress", ReportRun, Run, Own;
    /// Nextflow is alive.
    TraceHeartbeat = "TraceHeartbeat", "PUT" "/trace/{workflowId}/heartbeat", ReportRun, Run, Own;
    /// Nextflow is done.
    TraceComplete = "TraceComplete", "PUT" "/trace/{workflowId}/complete", ReportRun, Run, Own;

    /// What this service is.
    DescribeService = "DescribeService", "GET" "/service-info", Identity, None, Own;
    /// Who the caller is.
    DescribeUser = "DescribeUser", "GET" "/user-info", Identity, User, Own;
    /// The caller's organizations and workspaces.
    ListUserWorkspaces = "ListUserWorkspaces", "GET" "/user/{userId}/workspaces", Identity, User, Own;
    /// The caller's tokens.
    ListTokens = "ListTokens", "GET" "/tokens", Identity, User, Own;
    /// Make a token.
    CreateToken = "CreateToken", "POST" "/tokens", Identity, User, Own;
    /// Revoke a token.
    DeleteToken = "DeleteToken", "DELETE" "/tokens/{tokenId}", Identity, User, Own;
    /// The caller's organizations.
    ListOrganizations = "ListOrganizations", "GET" "/orgs", Identity, User, Own;
    /// An organization's workspaces, as far as the caller belongs to them.
    ListWorkspaces = "ListWorkspaces", "GET" "/orgs/{orgId}/workspaces", Identity, User, Own;
    /// A workspace.
    DescribeWorkspace = "DescribeWorkspace", "GET" "/orgs/{orgId}/workspaces/{workspaceId}", Identity, User, OfPath(P::ReadWorkspace);
    /// The platforms on which a workspace allows launches.
    UpdateWorkspacePlatforms = "UpdateWorkspacePlatforms", "PUT" "/orgs/{orgId}/workspaces/{workspaceId}/platforms", Identity, User, OfPath(P::AdministerWorkspace);
    /// Who belongs to a workspace.
    ListParticipants = "ListParticipants", "GET" "/orgs/{orgId}/workspaces/{workspaceId}/participants", Identity, User, OfPath(P::ReadWorkspace);
    /// Add someone to a workspace.
    AddParticipant = "AddParticipant", "PUT" "/orgs/{orgId}/workspaces/{workspaceId}/participants/add", Identity, User, OfPath(P::AdministerWorkspace);
    /// Give someone another role.
    UpdateParticipantRole = "UpdateParticipantRole", "PUT" "/orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}/role", Identity, User, OfPath(P::AdministerWorkspace);
    /// Remove someone from a workspace.
    DeleteParticipant = "DeleteParticipant", "DELETE" "/orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}", Identity, User, OfPath(P::ReadWorkspace);
}

impl Operation {
    /// The operation of a route, as API Gateway names it.
    #[must_use]
    pub fn of_route(route_key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.route_key() == route_key)
    }

    /// Whether it is answered, without effect, while a restored table is not reconciled: an error aborts the user's
    /// pipeline (`tests/real-clients/tests/nextflow/messages.rs`).
    #[must_use]
    pub fn survives_a_restore(self) -> bool {
        matches!(self, Self::TraceProgress | Self::TraceHeartbeat)
    }

    /// Bytes of the largest body.
    #[must_use]
    pub fn max_body(self) -> usize {
        match self {
            Self::ImportPipelineSecrets => 1024 * 1024,
            // Nextflow's messages hold task lists and scripts; Lambda takes 6 MB, escaping included.
            Self::TraceCreate
            | Self::TraceBegin
            | Self::TraceProgress
            | Self::TraceHeartbeat
            | Self::TraceComplete => 6 * 1024 * 1024,
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
