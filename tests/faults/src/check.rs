//! Checks the state after a trial, whatever failed: every run has ended, every copy is deleted,
//! nothing is half-written.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::envelope::{EncryptionContext, Envelope};
use domain::ids::SecretId;
use domain::owner::SecretOwner;
use domain::ports::DecryptDataKey as _;
use domain::run::State;

use crate::ledger::{self, Row};
use crate::operations::name_of;
use crate::world::{DEPLOYMENT, World, unrelated_secrets};

/// Returns the violations in the final state.
pub async fn final_violations(world: &World) -> Vec<String> {
    let mut violations = std::mem::take(&mut world.aws.state().violations);
    let rows = ledger::rows(&world.aws.state().services.database);
    check_runs_ended(&rows, &mut violations);
    check_copies_deleted(world, &mut violations);
    check_secrets_complete(&rows, &mut violations);
    check_values_open(world, &rows, &mut violations).await;
    violations
}

/// INV2 and INV6: every run has ended exactly once.
fn check_runs_ended(rows: &[Row], violations: &mut Vec<String>) {
    for (id, run) in ledger::runs(rows) {
        let lifecycle = run.lifecycle();
        if lifecycle.state != State::Ended || lifecycle.due.is_some() || lifecycle.removed.is_none() {
            violations.push(format!("INV2: run {id} is still {}", lifecycle.state.as_str()));
        }
        let count = |action| ledger::audits(rows, action, Some(id));
        let (launched, ending, ended) = (count("run.launched"), count("run.ending"), count("run.ended"));
        if launched != 1 || ended != 1 || ending > 1 {
            violations.push(format!(
                "INV6: run {id} was launched {launched} times, ending {ending} times, ended {ended} times"
            ));
        }
        if count("run.claimed") > 1 || count("run.head-job-recorded") > 1 {
            violations.push(format!("INV6: run {id} was claimed or got a head job twice"));
        }
        // Each write of a lifecycle is one revision. A run that repeats its states would have many.
        if lifecycle.revision > 40 {
            violations.push(format!("run {id} was written {} times", lifecycle.revision));
        }
    }
}

/// INV2 and INV8: no copy is left, and no unrelated secret was changed.
fn check_copies_deleted(world: &World, violations: &mut Vec<String>) {
    let state = world.aws.state();
    let unrelated_secrets: BTreeMap<_, _> = unrelated_secrets().into();
    for name in state.services.target.secrets.keys().filter(|name| !unrelated_secrets.contains_key(*name)) {
        violations.push(format!("INV2: the copy {name} was not deleted"));
    }
    for name in state.services.elsewhere.target.secrets.keys() {
        violations.push(format!("INV2: the copy {name} in an environment was not deleted"));
    }
    for name in unrelated_secrets.keys().filter(|name| !state.services.target.secrets.contains_key(*name)) {
        violations.push(format!("INV8: the unrelated secret {name} was deleted"));
    }
    for name in unrelated_secrets.keys().filter(|name| state.services.target.created.contains(name)) {
        violations.push(format!("INV8: the unrelated secret {name} was changed"));
    }
}

/// Each secret is complete: its value has the same version, its name is reserved, its history has
/// the replaced versions, and it is counted.
fn check_secrets_complete(rows: &[Row], violations: &mut Vec<String>) {
    let scopes: BTreeSet<_> =
        rows.iter().map(|row| row.text("pk")).filter(|pk| pk.starts_with("SECRETS#")).collect();
    for scope in scopes {
        let counter = ledger::kind(rows, scope, "COUNT").next();
        let counted = counter.map_or(0, |counter| counter.number("secretCount"));
        let count = |prefix| ledger::kind(rows, scope, prefix).count() as u64;
        let (secrets, values, names) = (count("SECRET#"), count("VALUE#"), count("NAME#"));
        if [values, names, counted] != [secrets; 3] {
            violations
                .push(format!("{scope}: {secrets} secrets, {values} values, {names} names, count {counted}"));
        }
        for secret in ledger::kind(rows, scope, "SECRET#") {
            violations.extend(half_written(rows, scope, secret));
        }
    }
}

fn half_written(rows: &[Row], scope: &str, secret: &Row) -> Option<String> {
    let id = secret.text("sk").strip_prefix("SECRET#").unwrap_or_default();
    let version = secret.number("version");
    let value = ledger::kind(rows, scope, "VALUE#").find(|row| row.text("sk") == format!("VALUE#{id}"));
    let sealed = value.map(|value| value.number("version"));
    let name_key = format!("NAME#{}", secret.text("name").to_ascii_lowercase());
    let name_reserved = ledger::kind(rows, scope, "NAME#")
        .any(|row| row.text("sk") == name_key && row.number("secretId").to_string() == id);
    let history = format!("HISTORY#{id}#");
    let replaced = ledger::kind(rows, scope, &history).count() as u64;
    let subject = |row: &&Row| ledger::subjects(row).any(|subject| subject.number("id").to_string() == id);
    let audited = |action| {
        ledger::audit(rows).filter(|row| row.text("action") == action).filter(subject).count() as u64
    };
    let complete = sealed == Some(version)
        && name_reserved
        && replaced + 1 == version
        && audited("secret.created") == 1
        && audited("secret.updated") + 1 == version;
    (!complete)
        .then(|| format!("{scope}: version {version} of secret {id} is half-written or was written twice"))
}

/// Every sealed value opens with its encryption context, so that a launch can use it.
async fn check_values_open(world: &World, rows: &[Row], violations: &mut Vec<String>) {
    let quiet = world.quiet();
    for row in rows.iter().filter(|row| row.text("sk").starts_with("VALUE#")) {
        let secret_key = row.text("sk").replace("VALUE#", "SECRET#");
        let Some(secret) =
            ledger::kind(rows, row.text("pk"), &secret_key).find(|s| s.text("sk") == secret_key)
        else {
            continue;
        };
        let owner = row.text("pk").strip_prefix("SECRETS#").unwrap_or_default();
        let owner: SecretOwner = owner.parse().expect("a scope");
        let id: SecretId = secret_key.trim_start_matches("SECRET#").parse().expect("an id");
        let context = EncryptionContext {
            deployment: DEPLOYMENT.into(),
            owner,
            secret: id,
            name: name_of(secret.text("name")),
            version: row.number("version"),
        };
        let bytes = STANDARD.decode(row.text("envelope")).unwrap_or_default();
        let opened = async {
            let envelope = Envelope::parse(&bytes)?;
            let key = quiet.opener.decrypt_data_key(envelope.encrypted_key(), &context).await?;
            envelope.open(&context, &key)
        };
        if opened.await.is_err() {
            violations.push(format!("the value of {id} does not open"));
        }
    }
    // These decryptions need no audit record.
    world.aws.state().violations.clear();
}

/// INV4: searches every row, its decoded envelope, and every request to AWS for the values of the
/// trial, except the text of the copies. Returns the number of searched texts and the violations.
pub fn leaks(world: &World) -> (usize, Vec<String>) {
    let state = world.aws.state();
    let (mut searched, mut violations) = (0, Vec::new());
    let mut search = |what: String, text: &[u8]| {
        searched += 1;
        let encoded = STANDARD.encode(CANARY);
        // Without the last group, which also encodes the following bytes.
        let encoded = &encoded.as_bytes()[..encoded.len() - 4];
        if [CANARY.as_bytes(), encoded]
            .iter()
            .any(|hidden| text.windows(hidden.len()).any(|at| at == *hidden))
        {
            violations.push(format!("INV4: {what} contains a value"));
        }
    };
    for row in ledger::rows(&state.services.database) {
        let what = format!("the row {} {}", row.text("pk"), row.text("sk"));
        search(what.clone(), row.0.to_string().as_bytes());
        search(what, &STANDARD.decode(row.text("envelope")).unwrap_or_default());
    }
    for call in &state.calls {
        let mut body = call.body.clone();
        if call.operation == "CreateSecret" {
            body["SecretString"].take();
        }
        search(format!("a request {}", call.operation), body.to_string().as_bytes());
    }
    (searched, violations)
}

/// Part of the values of trials, and of nothing else.
pub const CANARY: &str = "canary-4c1d";
