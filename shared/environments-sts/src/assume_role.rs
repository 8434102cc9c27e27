//! `AssumeRole`, with the environment's external id and the duty as the only session tag.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_failures::{Failure, unavailable};
use aws_sdk_sts::Client;
use aws_sdk_sts::config::http::HttpResponse;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::types::Tag;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_types::SdkConfig;
use aws_types::region::Region;
use domain::environment::{Duty, Environment, ExternalId, SESSION_TAG};
use domain::{Error, Result};

const OPERATION: &str = "sts AssumeRole";

/// The shortest session that STS gives:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
const SECONDS: i32 = 900;

/// Assumes roles of environments.
#[derive(Clone, Debug)]
pub struct RoleAssumer {
    client: Client,
    elsewhere: SdkConfig,
}

impl RoleAssumer {
    /// Creates an assumer that calls STS as `home` says. The clients of a session are configured
    /// as `elsewhere` says, with the region and the credentials of the session. All of them share
    /// one HTTP client, so that a later request to the same region can use an open connection.
    #[must_use]
    pub fn new(home: &SdkConfig, elsewhere: &SdkConfig) -> Self {
        let http = elsewhere.http_client().unwrap_or_else(|| {
            aws_smithy_http_client::Builder::new()
                .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
                .build_https()
        });
        let elsewhere = elsewhere.to_builder().http_client(http).build();
        Self { client: Client::new(home), elsewhere }
    }

    /// Returns the configuration of the clients of a session with this duty.
    pub(crate) async fn assume(
        &self,
        environment: &Environment,
        duty: Duty,
        session: &str,
    ) -> Result<SdkConfig> {
        self.assume_with(environment, &environment.external_id, duty, session).await
    }

    pub(crate) async fn assume_with(
        &self,
        environment: &Environment,
        external_id: &ExternalId,
        duty: Duty,
        session: &str,
    ) -> Result<SdkConfig> {
        let tag = Tag::builder().key(SESSION_TAG).value(duty.as_str()).build();
        let answer = self
            .client
            .assume_role()
            .role_arn(environment.role.to_string())
            .role_session_name(session)
            .external_id(external_id.as_str())
            .duration_seconds(SECONDS)
            .tags(tag.map_err(|_| Error::bug("a session tag without a value"))?)
            .send()
            .await
            .map_err(|error| refused(environment, &error))?;
        let key =
            answer.credentials.ok_or_else(|| Error::unavailable(OPERATION, Failure::incomplete(None)))?;
        let key = Credentials::builder()
            .access_key_id(key.access_key_id)
            .secret_access_key(key.secret_access_key)
            .session_token(key.session_token)
            .provider_name("environment")
            .build();
        Ok(self
            .elsewhere
            .to_builder()
            .region(Region::new(environment.region.to_string()))
            .credentials_provider(SharedCredentialsProvider::new(key))
            .build())
    }
}

/// A role that does not exist is denied like one that does not trust the caller.
fn refused(environment: &Environment, error: &SdkError<AssumeRoleError, HttpResponse>) -> Error {
    let refused = |cause| Error::EnvironmentRefused { account: environment.role.account().to_owned(), cause };
    match error.as_service_error() {
        Some(AssumeRoleError::RegionDisabledException(_)) => refused(REGION_DISABLED),
        _ if Failure::of(error).is_denied() => refused(DENIED),
        _ => unavailable(OPERATION, error),
    }
}

const DENIED: &str = "its role cannot be assumed. The role must exist, trust the roles of this \
    deployment with the external ID of its credentials, and its account must be one of the \
    deployment's compute accounts.";
const REGION_DISABLED: &str = "its account has not enabled the region of this deployment, whose \
    security token service issues the credentials. Enable the region in the account.";
