//! The invariants that hold at all times, checked at the moment when a call takes effect in AWS.

use domain::run::State;
use serde_json::Value;
use support::{Call, is_session};

use crate::ledger::{self, Row};
use crate::sim;
use crate::world::DEPLOYMENT;

/// Returns the violation if this call takes effect now.
#[must_use]
pub fn violation(aws: &sim::State, call: &Call) -> Option<String> {
    let body = &call.body;
    let elsewhere = is_session(&call.access_key);
    match call.operation.as_str() {
        "CreateSecret" => without_intent(aws, body, elsewhere),
        "DeleteSecret" => too_early(aws, body, elsewhere),
        "Decrypt" => unaudited(aws, body),
        _ => None,
    }
}

/// INV1: no copy without an intent that names it, in the account and region of the run.
fn without_intent(aws: &sim::State, body: &Value, elsewhere: bool) -> Option<String> {
    let name = body["Name"].as_str().unwrap_or_default();
    let id = tag(body, "pipeline-secrets:run");
    let rows = ledger::rows(&aws.services.database);
    let intent = ledger::run(&rows, &id).filter(|run| run.is_elsewhere() == elsewhere).map(Row::lifecycle);
    let named = intent.is_some_and(|lifecycle| lifecycle.copies.iter().any(|copy| copy.name == name));
    let tagged = tag(body, "pipeline-secrets:deployment") == DEPLOYMENT
        && !tag(body, "pipeline-secrets:scope").is_empty()
        && !tag(body, "pipeline-secrets:not-after").is_empty();
    (!named || !tagged).then(|| format!("INV1: the copy {name} has no intent or lacks a tag"))
}

/// INV3 and INV8: no deletion while the run is live or its recorded head job is not known to be
/// final, and no deletion of unrelated secrets.
fn too_early(aws: &sim::State, body: &Value, elsewhere: bool) -> Option<String> {
    let other = &aws.services.elsewhere;
    let (target, jobs) = match elsewhere {
        true => (&other.target, &other.jobs),
        false => (&aws.services.target, &aws.services.jobs),
    };
    let name = body["SecretId"].as_str().unwrap_or_default();
    let copy = target.secrets.get(name)?;
    let id = copy.tags.get("pipeline-secrets:run").cloned().unwrap_or_default();
    if copy.tags.get("pipeline-secrets:deployment").map(String::as_str) != Some(DEPLOYMENT) {
        return Some(format!("INV8: the unrelated secret {name} was to be deleted"));
    }
    let rows = ledger::rows(&aws.services.database);
    let Some(run) = ledger::run(&rows, &id) else {
        let latest = copy.tags.get("pipeline-secrets:not-after").and_then(|text| text.parse().ok());
        let ended = latest.is_some_and(|latest: domain::Timestamp| latest <= aws.now);
        return (!ended).then(|| format!("INV3: {name} of an unknown run was deleted before its latest end"));
    };
    let lifecycle = run.lifecycle();
    if !matches!(lifecycle.state, State::Ending | State::Ended) {
        return Some(format!("INV3: {name} was deleted while its run is {}", lifecycle.state.as_str()));
    }
    let job = lifecycle.head_job.as_ref()?;
    let job = jobs.iter().find(|known| known.id == job.job_id);
    let running = match job {
        Some(job) => !matches!(job.status, "SUCCEEDED" | "FAILED"),
        None => aws.now < lifecycle.lease_until,
    };
    running.then(|| format!("INV3: {name} was deleted while its head job may be running"))
}

/// INV5: an audit record with this secret, version and a run exists before the value is opened.
fn unaudited(aws: &sim::State, body: &Value) -> Option<String> {
    let context = &body["EncryptionContext"];
    let (id, version) = (context["secret"].as_str()?, context["version"].as_str()?);
    let rows = ledger::rows(&aws.services.database);
    let audited = ledger::audit(&rows).any(|row| {
        let action = row.text("action");
        let grants = matches!(action, "run.launched" | "run.repinned" | "run.claimed");
        let names = |subject: Row| {
            subject.number("id").to_string() == id
                && subject.number("version").to_string() == version
                && context["scope"] == subject.text("owner")
        };
        grants && !row.text("run").is_empty() && !row.0["actor"].is_null() && ledger::subjects(row).any(names)
    });
    (!audited).then(|| format!("INV5: {id}@{version} was opened without an audit record"))
}

fn tag(body: &Value, key: &str) -> String {
    let tags = body["Tags"].as_array().into_iter().flatten();
    let mut values = tags.filter(|tag| tag["Key"] == key).filter_map(|tag| tag["Value"].as_str());
    values.next().unwrap_or_default().to_owned()
}
