//! Which job a run can record: existence, then the run, the status and the queue.

use super::*;

const RUN: &str = "ab12ABCDEFGHIJ";
const OTHER: &str = "ab12JIHGFEDCBA";
const VARIABLE: &str = "PIPELINE_SECRETS_WORKFLOW_ID";
const TAG: &str = "pipeline-secrets:run";
const QUEUE: &str = "arn:aws:batch:eu-west-1:123456789012:job-queue/main";

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn job(queue: &str) -> HeadJob {
    HeadJob { job_id: "job-1".into(), queue: queue.into(), region: "eu-west-1".into(), account: None }
}

fn observed(status: JobStatus, environment: Pairs<'_>, tags: Pairs<'_>) -> ObservedJob {
    let named_runs = NamedRuns::select(environment.iter().copied(), tags.iter().copied());
    ObservedJob { status, queue: Some(QUEUE.into()), named_runs }
}

fn confirmed(job: &HeadJob, observed: ObservedJob) -> Result<HeadJob> {
    confirm(&RunId::new(RUN).unwrap(), job, observed)
}

/// Returns the text of the refusal.
fn refusal(job: &HeadJob, observed: ObservedJob) -> String {
    let error = confirmed(job, observed).unwrap_err();
    assert_eq!(error.code(), "refused");
    error.to_string()
}

#[test]
fn a_job_belongs_to_the_run_that_its_environment_or_its_tag_names() {
    let (none, another) = (Some(NAMES_NO_RUN), Some(NAMES_ANOTHER_RUN));
    let cases: [(&str, Pairs<'_>, Pairs<'_>, Option<&str>); 20] = [
        ("the variable", &[("A", "1"), (VARIABLE, RUN), ("B", "2")], &[], None),
        ("the tag", &[], &[("A", "1"), (TAG, RUN), ("B", "2")], None),
        ("both", &[(VARIABLE, RUN)], &[(TAG, RUN)], None),
        ("the variable twice", &[(VARIABLE, RUN), (VARIABLE, RUN)], &[], None),
        // A multi-node job and a job on EKS have no container.
        ("no container and no tag", &[], &[], none),
        ("others only", &[("PATH", RUN)], &[("team", RUN)], none),
        ("the name of the variable as a tag", &[], &[(VARIABLE, RUN)], none),
        ("the name of the tag as a variable", &[(TAG, RUN)], &[], none),
        ("a variable in lower case", &[("pipeline_secrets_workflow_id", RUN)], &[], none),
        ("a tag in another case", &[], &[("Pipeline-Secrets:Run", RUN)], none),
        ("a longer name", &[("PIPELINE_SECRETS_WORKFLOW_ID2", RUN)], &[("pipeline-secrets:run2", RUN)], none),
        ("the variable of another run", &[(VARIABLE, OTHER)], &[], another),
        ("the tag of another run", &[], &[(TAG, OTHER)], another),
        ("a run in another case", &[(VARIABLE, "ab12abcdefghij")], &[], another),
        ("a variable against the tag", &[(VARIABLE, OTHER)], &[(TAG, RUN)], another),
        ("a tag against the variable", &[(VARIABLE, RUN)], &[(TAG, OTHER)], another),
        ("first this run, then another", &[(VARIABLE, RUN), (VARIABLE, OTHER)], &[], another),
        ("first another run, then this one", &[(VARIABLE, OTHER), (VARIABLE, RUN)], &[], another),
        ("an empty variable", &[(VARIABLE, "")], &[], another),
        ("more than the run", &[(VARIABLE, "ab12ABCDEFGHIJ ")], &[(TAG, RUN)], another),
    ];
    for (case, environment, tags, expected) in cases {
        let observed = observed(JobStatus::NotFinal, environment, tags);
        match expected {
            None => assert_eq!(confirmed(&job("main"), observed).unwrap(), job(QUEUE), "{case}"),
            Some(text) => assert_eq!(refusal(&job("main"), observed), text, "{case}"),
        }
    }
}

#[test]
fn nothing_but_run_ids_is_kept_of_a_job() {
    let environment = [("TOKEN", "canary"), (VARIABLE, "canary in the wrong variable"), (VARIABLE, RUN)];
    let named = NamedRuns::select(environment, [("owner", "canary"), (TAG, OTHER)]);
    let [this, other] = [RUN, OTHER].map(|id| RunId::new(id).ok());
    assert_eq!(named, NamedRuns(vec![None, this, other]));
}

#[test]
fn a_job_must_exist_be_live_and_be_in_the_named_queue() {
    let over = |succeeded| JobStatus::Final { succeeded, exit_status: Some(0) };
    let unknown = "The AWS Batch job does not exist in this region.";
    let ended = "The AWS Batch job has already ended.";
    let elsewhere = "The AWS Batch job is in another queue.";
    let cases = [
        ("it succeeded", "main", over(true), ended),
        ("it failed", "main", over(false), ended),
        ("it ended in another queue", "other", over(true), ended),
        ("it is unknown", "main", JobStatus::Unknown, unknown),
        ("another queue by name", "other", JobStatus::NotFinal, elsewhere),
        ("part of the name", "mai", JobStatus::NotFinal, elsewhere),
        ("another case", "MAIN", JobStatus::NotFinal, elsewhere),
        ("no name", "", JobStatus::NotFinal, elsewhere),
        ("more than the name", "job-queue/main", JobStatus::NotFinal, elsewhere),
        (
            "that name in another account",
            "arn:aws:batch:eu-west-1:210987654321:job-queue/main",
            JobStatus::NotFinal,
            elsewhere,
        ),
    ];
    for (case, queue, status, text) in cases {
        assert_eq!(refusal(&job(queue), observed(status, &[(VARIABLE, RUN)], &[])), text, "{case}");
    }
    let no_queue = ObservedJob { queue: None, ..observed(JobStatus::NotFinal, &[(VARIABLE, RUN)], &[]) };
    assert_eq!(refusal(&job("main"), no_queue), unknown);
    assert_eq!(refusal(&job("main"), ObservedJob::unknown()), unknown);
    for queue in [QUEUE, "main"] {
        let observed = observed(JobStatus::NotFinal, &[(VARIABLE, RUN)], &[]);
        assert_eq!(confirmed(&job(queue), observed).unwrap(), job(QUEUE), "{queue}");
    }
}

#[test]
fn the_job_of_another_run_is_refused_before_its_status_and_queue_are_checked() {
    let over = JobStatus::Final { succeeded: true, exit_status: None };
    assert_eq!(refusal(&job("other"), observed(over.clone(), &[(VARIABLE, OTHER)], &[])), NAMES_ANOTHER_RUN);
    assert_eq!(refusal(&job("other"), observed(over, &[], &[])), NAMES_NO_RUN);
}
