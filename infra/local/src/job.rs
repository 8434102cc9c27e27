//! A container job of AWS Batch: its job definition and its submission.

use aws_sdk_batch::types::{
    ContainerOverrides, ContainerProperties, JobDefinitionType, KeyValuePair, ResourceRequirement,
    ResourceType, RetryStrategy, Secret,
};
use serde_json::Value;

use crate::Result;
use crate::platform::{Platform, failed};

/// A job to submit. Most fields have a default.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The name of the job and of its definition.
    pub name: &'a str,
    /// The name or ARN of its queue.
    pub queue: &'a str,
    /// The command; parameters such as `Ref::name` are not filled in.
    pub command: &'a [&'a str],
    /// Environment variables of the submission (`containerOverrides.environment`).
    pub environment: &'a [(&'a str, &'a str)],
    /// `containerProperties.secrets`: the field `batch.secrets` of a launch's response, or null.
    pub secrets: &'a Value,
    /// The ARN of the role that reads the secrets.
    pub execution_role: Option<&'a str>,
    /// The ARN of the role that the command gets.
    pub job_role: Option<&'a str>,
    /// The number of attempts.
    pub attempts: i32,
}

impl Default for Job<'_> {
    fn default() -> Self {
        Self {
            name: "job",
            queue: "",
            command: &[],
            environment: &[],
            secrets: &Value::Null,
            execution_role: None,
            job_role: None,
            attempts: 1,
        }
    }
}

impl Platform<'_> {
    /// Registers the job's definition and returns its ARN.
    pub async fn register(&self, job: &Job<'_>) -> Result<String> {
        let registered = aws_sdk_batch::Client::new(self.operator())
            .register_job_definition()
            .job_definition_name(job.name)
            .r#type(JobDefinitionType::Container)
            .container_properties(properties(job))
            .send()
            .await
            .map_err(|error| failed("RegisterJobDefinition", &error.into()))?;
        Ok(registered.job_definition_arn().unwrap_or_default().to_owned())
    }

    /// Registers the job's definition, submits the job, and returns its ID.
    pub async fn submit(&self, job: &Job<'_>) -> Result<String> {
        let definition = self.register(job).await?;
        let variable =
            |(name, value): &(&str, &str)| KeyValuePair::builder().name(*name).value(*value).build();
        let environment = job.environment.iter().map(variable).collect();
        let submitted = aws_sdk_batch::Client::new(self.operator())
            .submit_job()
            .job_name(job.name)
            .job_queue(job.queue)
            .job_definition(definition)
            .container_overrides(ContainerOverrides::builder().set_environment(Some(environment)).build())
            .retry_strategy(RetryStrategy::builder().attempts(job.attempts).build())
            .send()
            .await
            .map_err(|error| failed("SubmitJob", &error.into()))?;
        Ok(submitted.job_id().unwrap_or_default().to_owned())
    }
}

fn properties(job: &Job<'_>) -> ContainerProperties {
    let requirement = |kind, value| ResourceRequirement::builder().r#type(kind).value(value).build();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let secret = |entry: &Value| {
        Secret::builder().name(text(&entry["name"])).value_from(text(&entry["valueFrom"])).build()
    };
    let secrets = job.secrets.as_array().into_iter().flatten().map(secret).collect();
    let command: Vec<_> = job.command.iter().map(|&word| word.to_owned()).collect();
    ContainerProperties::builder()
        .image("nextflow/nextflow")
        .set_command(Some(command))
        .set_secrets(Some(secrets))
        .set_execution_role_arn(job.execution_role.map(str::to_owned))
        .set_job_role_arn(job.job_role.map(str::to_owned))
        .resource_requirements(requirement(ResourceType::Vcpu, "1"))
        .resource_requirements(requirement(ResourceType::Memory, "2048"))
        .build()
}
