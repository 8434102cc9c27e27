//! The local stack as tests use it: several at once, with and without persistent state, and with
//! controlled AWS Batch jobs.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use local::platform::Platform;
use local::{Credentials, EmulatorOptions, Job, JobStatus, Lifetime, Progress, Stack, Tools};

type Outcome = Result<(), Box<dyn Error>>;

fn options(folder: &Path, lifetime: Lifetime) -> EmulatorOptions {
    EmulatorOptions { lifetime, ..EmulatorOptions::for_test(folder, "pipeline-secrets") }
}

async fn table(stack: &Stack, credentials: &Credentials) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&stack.sdk_config(credentials).await)
}

#[tokio::test]
async fn several_stacks_run_at_once_and_each_function_has_a_separate_role() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (one, two) = (options(one.path(), Lifetime::Passing), options(two.path(), Lifetime::Passing));
    let defaults = BTreeMap::new();
    let (one, two) =
        tokio::join!(Stack::start(&tools, &one, &defaults), Stack::start(&tools, &two, &defaults));
    let (one, two) = (one?, two?);

    assert_ne!(one.api_endpoint, two.api_endpoint);
    assert_eq!(one.deployed.status, "created");
    let reader = table(&one, &one.credentials("read-secrets").await?).await;
    let key = |pk: &str| AttributeValue::S(pk.to_owned());
    let allowed = reader.get_item().table_name(one.output("TableName")?);
    assert!(allowed.key("pk", key("SECRETS#WS#1")).key("sk", key("COUNT")).send().await.is_ok());
    let refused = reader.get_item().table_name(one.output("TableName")?);
    let refused = refused.key("pk", key("TOKEN#1")).key("sk", key("TOKEN")).send().await;
    let error = refused.err().ok_or("a token was read")?;
    assert_eq!(error.into_service_error().meta().code(), Some("AccessDeniedException"));
    one.stop().await?;
    two.stop().await?;
    Ok(())
}

#[tokio::test]
async fn data_survives_a_stop_and_an_update_of_parameters() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let folder = tempfile::tempdir()?;
    let options = options(folder.path(), Lifetime::Bound);
    let first = Stack::start(&tools, &options, &BTreeMap::new()).await?;
    let item = |name: &str| (name.to_owned(), AttributeValue::S("kept".to_owned()));
    let put = table(&first, &Credentials::operator()).await.put_item().table_name(first.output("TableName")?);
    put.set_item(Some([item("pk"), item("sk")].into())).send().await?;
    first.stop().await?;

    let mut second = Stack::start(&tools, &options, &BTreeMap::new()).await?;
    let shorter = BTreeMap::from([("LeaseSeconds".to_owned(), "5".to_owned())]);
    second.update(&tools, &shorter).await?;
    assert_eq!(second.deployed.status, "updated");
    let found = table(&second, &Credentials::operator()).await.scan();
    assert_eq!(found.table_name(second.output("TableName")?).send().await?.count(), 1);
    second.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_job_keeps_its_status_until_it_is_moved_and_follows_its_retry_strategy() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let folder = tempfile::tempdir()?;
    let stack = Stack::start(&tools, &options(folder.path(), Lifetime::Passing), &BTreeMap::new()).await?;
    let batch = aws_sdk_batch::Client::new(&stack.sdk_config(&Credentials::operator()).await);
    let job = Job { queue: "heads", attempts: 2, ..Job::default() };
    let job = Platform::new(&stack).await.submit(&job).await?;

    for (to, shown) in [
        (JobStatus::Running, "RUNNING"),
        (JobStatus::Failed, "RUNNABLE"),
        (JobStatus::Running, "RUNNING"),
        (JobStatus::Succeeded, "SUCCEEDED"),
    ] {
        assert_eq!(stack.move_job(&job, to).await?["status"], shown);
    }
    assert!(stack.move_job(&job, JobStatus::Running).await.is_err(), "a final job moved");
    stack.forget_job(&job).await?;
    assert!(batch.describe_jobs().jobs(&job).send().await?.jobs().is_empty());
    stack.stop().await?;
    Ok(())
}
