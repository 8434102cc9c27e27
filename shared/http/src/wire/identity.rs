//! Users, tokens, organizations, workspaces and participants, in Seqera Platform's format. Fields
//! that this service does not support are present and null, because Seqera Platform's clients read
//! them.

mod members;
mod participants;
mod users;
mod workspaces;

pub use members::MemberList;
pub use participants::{
    NewParticipant, NewRole, ParticipantAnswer, ParticipantList, new_participant, new_role,
};
pub use users::{API_VERSION, NewToken, ServiceInfo, TokenCreated, TokenList, UserInfo};
pub use users::{new_token, service_info, user_info};
pub use workspaces::{NewPlatforms, OrganizationAnswer, OrganizationList, OrgsAndWorkspaces};
pub use workspaces::{WorkspaceAnswer, WorkspaceList, platforms, workspace_answer, workspace_list};
pub use workspaces::{organization_answer, organization_list};

#[cfg(test)]
mod tests;
