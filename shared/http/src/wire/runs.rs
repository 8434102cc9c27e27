//! Receipts of runs.

use std::fmt::Write as _;

use domain::copies::{Layout, RunCopy};
use domain::ids::{RunId, SecretId, UserId, WorkspaceId};
use domain::kubernetes::KubernetesSecrets;
use domain::name::SecretName;
use domain::platform::Platform;
use domain::run::{PinnedSecret, ReportedBy, Run, RunResult, State};
use serde::Serialize;
use zeroize::Zeroizing;

use super::launches::ComputeEnv;
use super::{Date, Owner, Version};
use crate::Answer;

/// The receipt of a run: the secrets that it received, its dates, and its outcome.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Run"))]
pub struct Receipt<'a> {
    workflow_id: &'a RunId,
    state: State,
    workspace_id: Option<WorkspaceId>,
    /// The user who launched the run.
    user_id: UserId,
    platform: Platform,
    layout: Option<Layout>,
    /// The compute environment, unless the run executes in the account and region of the
    /// deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "ComputeEnv<'a>"))]
    compute_env: Option<ComputeEnv<'a>>,
    date_launched: Date,
    date_delivered: Option<Date>,
    date_ending: Option<Date>,
    /// When the last copy was deleted.
    date_removed: Option<Date>,
    /// When the run ends automatically if nothing extends its lease.
    lease_until: Option<Date>,
    head_job: Option<HeadJob<'a>>,
    outcome: Option<Outcome<'a>>,
    secrets: Vec<ReceiptSecret<'a>>,
    /// The names of the run's copies in AWS Secrets Manager.
    copies: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct HeadJob<'a> {
    job_id: &'a str,
    job_queue: &'a str,
    region: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Outcome<'a> {
    result: RunResult,
    exit_status: Option<i64>,
    reported_by: ReportedBy,
    /// The user who cancelled the run.
    cancelled_by: Option<UserId>,
    /// The names of copies that may be left, because the compute environment could not be used
    /// until 30 days after the run's latest end. Delete them there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    copies_left: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ReceiptSecret<'a> {
    name: &'a SecretName,
    owner: Owner,
    secret_id: SecretId,
    version: Version,
    /// Whether this user secret overrides a workspace secret.
    overrides: bool,
}

impl<'a> From<&'a PinnedSecret> for ReceiptSecret<'a> {
    fn from(pin: &'a PinnedSecret) -> Self {
        Self {
            name: &pin.name,
            owner: pin.owner.into(),
            secret_id: pin.id,
            version: Version(pin.version),
            overrides: pin.overrides.is_some(),
        }
    }
}

impl<'a> From<&'a Run> for Receipt<'a> {
    fn from(run: &'a Run) -> Self {
        let lifecycle = &run.lifecycle;
        Self {
            workflow_id: &run.id,
            state: lifecycle.state,
            workspace_id: run.workspace,
            user_id: run.user,
            platform: run.platform,
            layout: (!run.platform.claims()).then_some(run.layout),
            compute_env: ComputeEnv::of(&run.target),
            date_launched: run.created.into(),
            date_delivered: lifecycle.delivered.map(Date::from),
            date_ending: lifecycle.ending.map(Date::from),
            date_removed: lifecycle.removed.map(Date::from),
            lease_until: lifecycle.state.is_live().then(|| lifecycle.lease_until.into()),
            head_job: lifecycle.head_job.as_ref().map(|job| HeadJob {
                job_id: &job.job_id,
                job_queue: &job.queue,
                region: &job.region,
            }),
            outcome: lifecycle.outcome.as_ref().map(|outcome| Outcome {
                result: outcome.result,
                exit_status: outcome.exit_status,
                reported_by: outcome.reported_by,
                cancelled_by: outcome.cancelled_by,
                copies_left: lifecycle.copies_left().iter().map(|copy| copy.name.as_str()).collect(),
            }),
            secrets: lifecycle.secrets.iter().map(ReceiptSecret::from).collect(),
            copies: lifecycle.copies.iter().map(|copy: &RunCopy| copy.name.as_str()).collect(),
        }
    }
}

/// The response to `GET /runs`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunList<'a> {
    runs: Vec<Receipt<'a>>,
    /// The value of `after` for the next page.
    next: Option<&'a RunId>,
}

impl<'a> RunList<'a> {
    /// Creates the answer for a page. A full page has a `next`, even if the next page is empty.
    #[must_use]
    pub fn new(runs: &'a [Run], limit: u32) -> Self {
        let full = runs.len() >= limit as usize;
        Self {
            runs: runs.iter().map(Receipt::from).collect(),
            next: runs.last().filter(|_| full).map(|run| &run.id),
        }
    }
}

/// The state of a run after a report.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunState<'a> {
    workflow_id: &'a RunId,
    state: State,
}

impl<'a> From<&'a Run> for RunState<'a> {
    fn from(run: &'a Run) -> Self {
        Self { workflow_id: &run.id, state: run.lifecycle.state }
    }
}

/// The schema of Nextflow's secrets store. The domain writes the store, because values do not
/// implement `Serialize`.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(description = "The content of the file that `NXF_SECRETS_FILE` points to.")]
#[expect(dead_code, reason = "used only for its schema")]
pub struct NextflowStore(Vec<StoredSecret>);

#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "NextflowStoreSecret")]
#[expect(dead_code, reason = "used only for its schema")]
struct StoredSecret {
    name: SecretName,
    value: String,
}

/// The schema of [`claimed_on_kubernetes`].
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "camelCase", description = "What the head job of a run on Kubernetes needs.")]
#[expect(dead_code, reason = "used only for its schema")]
pub struct KubernetesClaim {
    /// Nextflow's secrets store for the head job.
    store: NextflowStore,
    /// The field `data` of a Kubernetes Secret for tasks: each value in base64.
    secret_data: std::collections::BTreeMap<String, String>,
}

/// The schema of the answer to a claim.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(untagged, description = "A store on HPC, and an object on Kubernetes.")]
pub enum ClaimAnswer {
    /// On HPC.
    Store(NextflowStore),
    /// On Kubernetes.
    Kubernetes(KubernetesClaim),
}

/// Returns the answer to a claim on Kubernetes, as JSON or as lines.
#[must_use]
pub fn claimed_on_kubernetes(secrets: &KubernetesSecrets, text: bool) -> Answer {
    let KubernetesSecrets { store, data } = secrets;
    if text {
        return Answer::text(200, lines(&[("store", Some(store)), ("secretData", Some(data))]));
    }
    let parts = ["{\"store\":", store.as_str(), ",\"secretData\":", data.as_str(), "}"];
    // Sized up front: a buffer that grows would leave copies of values in memory.
    let mut json = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        json.push_str(part);
    }
    Answer::raw_json(200, json)
}

/// Returns lines of the form `name=value` that a shell reads, without quotes.
#[must_use]
pub fn lines(pairs: &[(&str, Option<&str>)]) -> Zeroizing<String> {
    let length = pairs.iter().map(|(name, value)| name.len() + value.map_or(0, str::len) + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for (name, value) in pairs {
        if let Some(value) = value {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}={value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample::{RUN, at, pin, run, secret_id, user_id};
    use domain::owner::SecretOwner;
    use domain::run;
    use serde_json::{Value, json};

    fn answer(body: impl Serialize) -> Value {
        serde_json::to_value(body).unwrap()
    }

    fn pending() -> Value {
        json!({
            "workflowId": RUN, "state": "pending", "workspaceId": 42, "userId": 17, "platform": "aws-batch",
            "layout": "bundle", "dateLaunched": "2026-10-25T12:42:21Z", "dateDelivered": null,
            "dateEnding": null, "dateRemoved": null, "leaseUntil": "2026-10-26T12:42:21Z", "headJob": null,
            "outcome": null,
            "secrets": [{
                "name": "NCBI_API_KEY", "owner": "workspace", "secretId": 501, "version": 3,
                "overrides": false,
            }],
            "copies": ["tower-0a1bABCDEFGHIJ"],
        })
    }

    #[test]
    fn a_receipt_shows_a_run_at_each_stage() {
        let live = run(Platform::AwsBatch, Layout::Bundle);
        assert_eq!(answer(Receipt::from(&live)), pending());

        let mut ended = run(Platform::AwsBatch, Layout::PerName);
        ended.workspace = None;
        let mut own = pin("NCBI_API_KEY", 502, SecretOwner::User(user_id(17)));
        own.overrides = Some(secret_id(501));
        ended.lifecycle.secrets = vec![own];
        ended.lifecycle.state = State::Ended;
        ended.lifecycle.delivered = Some(at("2026-10-25T12:42:22Z"));
        ended.lifecycle.ending = Some(at("2026-10-25T14:00:01Z"));
        ended.lifecycle.removed = Some(at("2026-10-25T14:00:02Z"));
        ended.lifecycle.head_job = Some(run::HeadJob {
            job_id: "876da822".to_owned(),
            queue: "heads".to_owned(),
            region: "us-east-1".to_owned(),
            account: None,
        });
        ended.lifecycle.outcome = Some(run::Outcome {
            result: RunResult::LaunchFailed,
            exit_status: Some(-1),
            reported_by: ReportedBy::HeadJob,
            cancelled_by: Some(user_id(18)),
        });
        let expected = json!({
            "workflowId": RUN, "state": "ended", "workspaceId": null, "userId": 17, "platform": "aws-batch",
            "layout": "per-name", "dateLaunched": "2026-10-25T12:42:21Z",
            "dateDelivered": "2026-10-25T12:42:22Z", "dateEnding": "2026-10-25T14:00:01Z",
            "dateRemoved": "2026-10-25T14:00:02Z", "leaseUntil": null,
            "headJob": { "jobId": "876da822", "jobQueue": "heads", "region": "us-east-1" },
            "outcome": {
                "result": "launch-failed", "exitStatus": -1, "reportedBy": "head-job", "cancelledBy": 18,
            },
            "secrets": [{
                "name": "NCBI_API_KEY", "owner": "user", "secretId": 502, "version": 3, "overrides": true,
            }],
            "copies": ["tower-0a1bABCDEFGHIJ"],
        });
        assert_eq!(answer(Receipt::from(&ended)), expected);

        let mut claims = pending();
        (claims["platform"], claims["layout"], claims["copies"]) = ("slurm".into(), Value::Null, json!([]));
        assert_eq!(answer(Receipt::from(&run(Platform::Slurm, Layout::Bundle))), claims);
    }

    #[test]
    fn a_full_page_of_runs_may_have_a_next_one() {
        let first = run(Platform::AwsBatch, Layout::Bundle);
        let last = Run { id: RunId::new("0a1bABCDEFGHIK").unwrap(), ..first.clone() };
        let runs = [first, last];
        for (count, limit, next) in [
            (0, 1, Value::Null),
            (1, 1, json!(RUN)),
            (1, 2, Value::Null),
            (2, 2, json!("0a1bABCDEFGHIK")),
            (2, 3, Value::Null),
        ] {
            let list = answer(RunList::new(&runs[..count], limit));
            assert_eq!(list["next"], next, "{count} of {limit}");
            assert_eq!(list["runs"].as_array().unwrap().len(), count, "{count} of {limit}");
        }
        assert_eq!(answer(RunList::new(&runs[..1], 2)), json!({ "runs": [pending()], "next": null }));
    }

    #[test]
    fn a_report_returns_the_run_state() {
        for state in State::ALL {
            let mut run = run(Platform::AwsBatch, Layout::Bundle);
            run.lifecycle.state = state;
            let expected = json!({ "workflowId": RUN, "state": state.as_str() });
            assert_eq!(answer(RunState::from(&run)), expected);
        }
    }

    #[test]
    fn a_claim_on_kubernetes_is_an_object_or_two_lines() {
        let secrets = KubernetesSecrets {
            store: r#"[{"name":"AA","value":"a\"b"}]"#.to_owned().into(),
            data: r#"{"AA":"YSJi"}"#.to_owned().into(),
        };
        let body = |text| {
            let event: Value =
                serde_json::from_str(claimed_on_kubernetes(&secrets, text).into_event().get()).unwrap();
            assert_eq!(event["headers"]["content-type"] == "application/json", !text);
            event["body"].as_str().unwrap().to_owned()
        };
        let json: Value = serde_json::from_str(&body(false)).unwrap();
        let store = json!([{"name": "AA", "value": "a\"b"}]);
        assert_eq!(json, json!({"store": store, "secretData": {"AA": "YSJi"}}));
        let expected = "store=[{\"name\":\"AA\",\"value\":\"a\\\"b\"}]\nsecretData={\"AA\":\"YSJi\"}\n";
        assert_eq!(body(true), expected);
    }

    #[test]
    fn lines_omit_missing_values_and_quote_nothing() {
        for (pairs, expected) in [
            (vec![], ""),
            (vec![("a", None)], ""),
            (vec![("a", Some(""))], "a=\n"),
            (
                vec![("name", Some("a 'b' \"c\" $d")), ("none", None), ("b", Some("="))],
                "name=a 'b' \"c\" $d\nb==\n",
            ),
        ] {
            assert_eq!(*lines(&pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn lines_never_reallocate_and_so_leave_no_copy_of_a_token() {
        let text = lines(&[("runToken", Some("a-token-that-is-longer-than-its-name")), ("a", Some("b"))]);
        assert_eq!(text.capacity(), text.len());
    }
}
