//! Configuration of the AWS clients, with timeouts: the SDK's defaults wait for an answer without a
//! limit and start to retry only after a second.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::config;

/// The configuration of the function's AWS clients: region, credentials and endpoints from the
/// environment (including `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`), and timeouts by
/// kind of service.
#[derive(Clone, Debug)]
pub struct Clients {
    data: SdkConfig,
    control: SdkConfig,
    elsewhere: SdkConfig,
}

impl Clients {
    /// Loads the configuration from the environment variables that Lambda sets:
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>.
    ///
    /// The SDK's loader would also read files and call metadata services, and link the code for
    /// that.
    #[must_use]
    pub fn load() -> Self {
        let variable = config::process;
        let key = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY")).map(|(id, secret)| {
            let mut key = Credentials::builder().access_key_id(id).secret_access_key(secret);
            key.set_session_token(variable("AWS_SESSION_TOKEN"));
            SharedCredentialsProvider::new(key.provider_name("environment").build())
        });
        // A fixed version, so that an update of the SDK does not change behavior silently.
        let mut loaded = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(variable("AWS_REGION").map(Region::new))
            .service_config(Environment);
        loaded.set_credentials_provider(key);
        loaded.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
        Self::of(&loaded.build())
    }

    /// Sets the timeouts on an existing configuration.
    #[must_use]
    pub fn of(loaded: &SdkConfig) -> Self {
        Self {
            data: DATA.set_on(loaded),
            control: CONTROL.set_on(loaded),
            elsewhere: ELSEWHERE.set_on(loaded),
        }
    }

    /// Returns the configuration for DynamoDB and KMS, which answer within milliseconds: an attempt
    /// that takes a second is stuck.
    #[must_use]
    pub fn data(&self) -> &SdkConfig {
        &self.data
    }

    /// Returns the configuration for Secrets Manager, EventBridge and Batch, which take tens to
    /// hundreds of milliseconds. It has more attempts with longer pauses, because Secrets Manager
    /// throttles bursts (50 changes per second and account).
    #[must_use]
    pub fn control(&self) -> &SdkConfig {
        &self.control
    }

    /// Returns the configuration for services in the regions of environments, without the session
    /// of an environment's role. It has more time to connect and to answer.
    #[must_use]
    pub fn elsewhere(&self) -> &SdkConfig {
        &self.elsewhere
    }
}

/// Settings for a single service, such as `AWS_ENDPOINT_URL_SECRETS_MANAGER`:
/// <https://docs.aws.amazon.com/sdkref/latest/guide/ss-endpoints-table.html>.
#[derive(Debug)]
struct Environment;

impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        config::process(&format!("{}_{service}", key.env()))
    }
}

/// A launch makes six rounds of calls in sequence, five of data and one of control: in the worst
/// case, they take 5 × 3 + 6 = 21 of the 29 seconds that API Gateway waits. In an environment, one
/// round of data also has a call of STS, and the round of control is elsewhere: 4 × 3 + 6 + 9 = 27.
const DATA: Limits =
    Limits { connect: NEAR, attempt: 1_000, operation: 3_000, attempts: 4, first_backoff: 25 };
const CONTROL: Limits =
    Limits { connect: NEAR, attempt: 2_000, operation: 6_000, attempts: 6, first_backoff: 50 };
const ELSEWHERE: Limits =
    Limits { connect: FAR, attempt: 4_000, operation: 9_000, attempts: 6, first_backoff: 50 };

/// Timeouts of one kind of service, in milliseconds.
struct Limits {
    connect: Duration,
    attempt: u64,
    operation: u64,
    attempts: u32,
    first_backoff: u64,
}

/// Within a region, a connection takes a few milliseconds. If a connection broke while the function
/// was frozen, its next use fails and the retry opens a new one.
const NEAR: Duration = Duration::from_millis(500);
/// Between the regions that are farthest from each other, a round trip takes a third of a second,
/// and a connection with TLS takes two or three.
const FAR: Duration = Duration::from_secs(2);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

impl Limits {
    fn set_on(&self, loaded: &SdkConfig) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .operation_attempt_timeout(Duration::from_millis(self.attempt))
            .operation_timeout(Duration::from_millis(self.operation))
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(self.attempts)
            .with_initial_backoff(Duration::from_millis(self.first_backoff))
            .with_max_backoff(LONGEST_BACKOFF);
        loaded.to_builder().timeout_config(timeouts).retry_config(retries).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_timeouts_and_bounded_retries() {
        let clients = Clients::of(&SdkConfig::builder().build());
        let every = [(clients.data(), 4, 3), (clients.control(), 6, 6), (clients.elsewhere(), 6, 9)];
        for (config, attempts, seconds) in every {
            let timeouts = config.timeout_config().unwrap();
            let attempt = timeouts.operation_attempt_timeout().unwrap();
            let operation = timeouts.operation_timeout().unwrap();
            assert!(timeouts.connect_timeout().unwrap() < attempt && attempt < operation);
            assert!(operation <= Duration::from_secs(seconds));
            assert_eq!(config.retry_config().unwrap().max_attempts(), attempts);
        }
    }
}
