//! What must be so after a trial, whatever failed: every run over, every copy gone, nothing half-written.

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
use crate::world::{DEPLOYMENT, World, others};

/// What is wrong now that all is over. Empty where nothing is.
pub async fn aftermath(world: &World) -> Vec<String> {
    let mut wrongs = std::mem::take(&mut world.aws.state().wrongs);
    let rows = ledger::rows(&world.aws.state().services.database);
    runs_are_over(&rows, &mut wrongs);
    copies_are_gone(world, &mut wrongs);
    scopes_are_whole(&rows, &mut wrongs);
    values_open(world, &rows, &mut wrongs).await;
    wrongs
}

/// INV2, and one effect each: every run has ended, once.
fn runs_are_over(rows: &[Row], wrongs: &mut Vec<String>) {
    for (id, run) in ledger::runs(rows) {
        let lifecycle = run.lifecycle();
        if lifecycle.state != State::Ended || lifecycle.due.is_some() || lifecycle.removed.is_none() {
            wrongs.push(format!("INV2: run {id} is still {}", lifecycle.state.as_str()));
        }
        let count = |action| ledger::audits(rows, action, Some(id));
        let (launched, ending, ended) = (count("run.launched"), count("run.ending"), count("run.ended"));
        if launched != 1 || ended != 1 || ending > 1 {
            wrongs.push(format!("INV6: run {id} was launched {launched}×, ending {ending}×, ended {ended}×"));
        }
        if count("run.claimed") > 1 || count("run.head-job-recorded") > 1 {
            wrongs.push(format!("INV6: run {id} was claimed, or got a head job, twice"));
        }
        // Each write of a lifecycle is one revision; a run that goes in circles would have many.
        if lifecycle.revision > 40 {
            wrongs.push(format!("run {id} was written {} times", lifecycle.revision));
        }
    }
}

/// INV2: no copy is left; and nobody else's secret was touched.
fn copies_are_gone(world: &World, wrongs: &mut Vec<String>) {
    let state = world.aws.state();
    let others: BTreeMap<_, _> = others().into();
    for name in state.services.target.secrets.keys().filter(|name| !others.contains_key(*name)) {
        wrongs.push(format!("INV2: the copy {name} is left"));
    }
    for name in others.keys().filter(|name| !state.services.target.secrets.contains_key(*name)) {
        wrongs.push(format!("somebody else's {name} was deleted"));
    }
    for name in others.keys().filter(|name| state.services.target.created.contains(name)) {
        wrongs.push(format!("somebody else's {name} was written"));
    }
}

/// Nothing half-written: each secret has its value of the same version, its name guard, its replaced versions, and is
/// counted.
fn scopes_are_whole(rows: &[Row], wrongs: &mut Vec<String>) {
    let scopes: BTreeSet<_> =
        rows.iter().map(|row| row.text("pk")).filter(|pk| pk.starts_with("SECRETS#")).collect();
    for scope in scopes {
        let counter = ledger::kind(rows, scope, "COUNT").next();
        let counted = counter.map_or(0, |counter| counter.number("secretCount"));
        let count = |prefix| ledger::kind(rows, scope, prefix).count() as u64;
        let (secrets, values, names) = (count("SECRET#"), count("VALUE#"), count("NAME#"));
        if [values, names, counted] != [secrets; 3] {
            wrongs.push(format!(
                "{scope}: {secrets} secrets, {values} values, {names} names, counted as {counted}"
            ));
        }
        for secret in ledger::kind(rows, scope, "SECRET#") {
            wrongs.extend(half_written(rows, scope, secret));
        }
    }
}

fn half_written(rows: &[Row], scope: &str, secret: &Row) -> Option<String> {
    let id = secret.text("sk").strip_prefix("SECRET#").unwrap_or_default();
    let version = secret.number("version");
    let value = ledger::kind(rows, scope, "VALUE#").find(|row| row.text("sk") == format!("VALUE#{id}"));
    let sealed = value.map(|value| value.number("version"));
    let guard = format!("NAME#{}", secret.text("name").to_ascii_lowercase());
    let guarded = ledger::kind(rows, scope, "NAME#")
        .any(|row| row.text("sk") == guard && row.number("secretId").to_string() == id);
    let history = format!("HISTORY#{id}#");
    let replaced = ledger::kind(rows, scope, &history).count() as u64;
    let subject = |row: &&Row| ledger::subjects(row).any(|subject| subject.number("id").to_string() == id);
    let audited = |action| {
        ledger::audit(rows).filter(|row| row.text("action") == action).filter(subject).count() as u64
    };
    let whole = sealed == Some(version)
        && guarded
        && replaced + 1 == version
        && audited("secret.created") == 1
        && audited("secret.updated") + 1 == version;
    (!whole).then(|| format!("{scope}: secret {id} of version {version} is half-written, or has two effects"))
}

/// Every sealed value opens under its own context, so that what a launch will find is whole.
async fn values_open(world: &World, rows: &[Row], wrongs: &mut Vec<String>) {
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
            wrongs.push(format!("the value of {id} does not open"));
        }
    }
    // What was opened here needs no audit record.
    world.aws.state().wrongs.clear();
}

/// INV4: how many texts were searched for the values of the trial, and which hold one. These are every row, its
/// envelope decoded, and every request to AWS with all that it carries, but for the copies' own text.
pub fn leaks(world: &World) -> (usize, Vec<String>) {
    let state = world.aws.state();
    let (mut searched, mut wrongs) = (0, Vec::new());
    let mut search = |what: String, text: &[u8]| {
        searched += 1;
        let encoded = STANDARD.encode(CANARY);
        // Without its last group, which also holds what comes after.
        let encoded = &encoded.as_bytes()[..encoded.len() - 4];
        if [CANARY.as_bytes(), encoded]
            .iter()
            .any(|hidden| text.windows(hidden.len()).any(|at| at == *hidden))
        {
            wrongs.push(format!("INV4: {what} holds a value"));
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
    (searched, wrongs)
}

/// What stands in the values of trials and nowhere else.
pub const CANARY: &str = "canary-4c1d";
