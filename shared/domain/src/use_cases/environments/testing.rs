//! Fixtures of the tests of environments: a workspace with an owner and a viewer, and another one.

use std::rc::Rc;

use super::compute_envs::EnvironmentDraft;
use super::credentials::CredentialsDraft;
use super::{ComputeAccounts, EnvironmentService};
use crate::environment::{
    CredentialsId, EnvironmentId, Region, RoleArn, StoredCredentials, StoredEnvironment,
};
use crate::identity::{Actor, Workspace};
use crate::ids::WorkspaceId;
use crate::role::Role;
use crate::testing::{Fixture, Roles, run_now, user_id, workspace, workspace_id};

pub(super) const OWNER: i64 = 1;
pub(super) const VIEWER: i64 = 6;
/// The owner of another workspace.
pub(super) const OTHER_OWNER: i64 = 9;
pub(super) const ROLE: &str = "arn:aws:iam::210987654321:role/pipeline-secrets-lab";

pub(super) struct Env {
    pub(super) fixture: Fixture,
    pub(super) roles: Rc<Roles>,
    pub(super) service: EnvironmentService,
}

pub(super) fn by(user: i64) -> Actor {
    Actor::without_token(user_id(user))
}

#[expect(clippy::unnecessary_wraps, reason = "a request can have no workspace")]
pub(super) fn here() -> Option<WorkspaceId> {
    Some(workspace_id())
}

pub(super) fn elsewhere() -> Option<WorkspaceId> {
    WorkspaceId::new(43)
}

pub(super) fn role(text: &str) -> RoleArn {
    RoleArn::parse(text).unwrap()
}

pub(super) fn credentials_draft(name: &str) -> CredentialsDraft {
    CredentialsDraft { name: name.into(), description: None, role: role(ROLE), external_id: None }
}

pub(super) fn environment_draft(name: &str, credentials: &CredentialsId) -> EnvironmentDraft {
    EnvironmentDraft {
        name: name.into(),
        description: None,
        credentials: credentials.clone(),
        region: Region::parse("eu-west-1").unwrap(),
        copy_key: None,
        config: r#"{"region": "eu-west-1"}"#.into(),
    }
}

impl Env {
    pub(super) fn new() -> Self {
        let fixture = Fixture::new();
        for (user, role) in [(OWNER, Role::Owner), (2, Role::Admin), (VIEWER, Role::View)] {
            fixture.table.put_member(workspace(), user_id(user), role);
        }
        let other = Workspace { id: elsewhere().unwrap(), name: "other".into(), ..workspace() };
        fixture.table.put_member(other, user_id(OTHER_OWNER), Role::Owner);
        let roles = Rc::<Roles>::default();
        let accounts = ComputeAccounts {
            partition: "aws".into(),
            region: "us-east-1".into(),
            accounts: vec!["210987654321".into(), "333333333333".into()],
        };
        let service = EnvironmentService { store: fixture.table.clone(), targets: roles.clone(), accounts };
        Self { fixture, roles, service }
    }

    /// Creates credentials in the workspace.
    pub(super) fn credentials(&self, name: &str, arn: &str) -> StoredCredentials {
        let draft = CredentialsDraft { role: role(arn), ..credentials_draft(name) };
        let context = self.fixture.context();
        let id = run_now(self.service.create_credentials(&by(OWNER), here(), &draft, &context)).unwrap();
        self.stored_credentials(&id)
    }

    /// Creates an environment with new credentials.
    pub(super) fn environment(&self, name: &str) -> StoredEnvironment {
        let credentials = self.credentials(name, ROLE);
        let draft = environment_draft(name, &credentials.id);
        let context = self.fixture.context();
        let id = run_now(self.service.create(&by(OWNER), here(), &draft, &context)).unwrap();
        self.stored(&id).unwrap()
    }

    pub(super) fn stored_credentials(&self, id: &CredentialsId) -> StoredCredentials {
        self.fixture.table.rows.borrow().credentials[&(workspace_id(), id.clone())].clone()
    }

    pub(super) fn stored(&self, id: &EnvironmentId) -> Option<StoredEnvironment> {
        self.fixture.table.rows.borrow().environments.get(&(workspace_id(), id.clone())).cloned()
    }

    /// The calls of the table since they were last asked for.
    pub(super) fn writes(&self) -> usize {
        self.fixture.table.faults.count("change_environment")
    }
}
