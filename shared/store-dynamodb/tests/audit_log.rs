//! The audit trail in the log, from which an operator repeats changes that a restored table has
//! lost. This test runs in a separate process because it captures the log.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::audit::{AuditAction, AuditRecord, Subject};
use domain::copies::Layout;
use domain::identity::Actor;
use domain::ids::{RunId, SecretId, UserId};
use domain::name::SecretName;
use domain::owner::SecretOwner;
use domain::platform::Platform;
use domain::ports::{LaunchRuns, Randomness};
use domain::role::Permission;
use domain::run::{Lifecycle, Run, State};
use domain::settings::Settings;
use domain::token::TokenKey;
use domain::use_cases::authorize;
use serde_json::Value;
use store_dynamodb::Store;
use support::{Fault, Table};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["message"] == "audit").collect()
    }
}

struct Fixed;

impl Randomness for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn run(id: &str) -> Run {
    let now = "2026-11-23T10:20:30.123456789Z".parse().unwrap();
    let hash = TokenKey::make_random(&Fixed).hash();
    Run {
        id: RunId::new(id).unwrap(),
        workspace: None,
        user: UserId::new(1).unwrap(),
        launched_with: None,
        platform: Platform::AwsBatch,
        layout: Layout::Bundle,
        created: now,
        not_after: now,
        target: domain::environment::Target::Home,
        lifecycle: Lifecycle {
            revision: 1,
            state: State::Provisioning,
            due: Some(now),
            lease_until: now,
            secrets: Vec::new(),
            copies: Vec::new(),
            run_token: hash,
            claim_token: None,
            claimed: None,
            delivered: None,
            head_job: None,
            outcome: None,
            ending: None,
            removed: None,
        },
    }
}

fn record(run: &Run, id: &str) -> AuditRecord {
    let subject = |id| Subject {
        owner: SecretOwner::User(run.user),
        id: SecretId::new(id).unwrap(),
        name: SecretName::parse("NCBI_API_KEY").unwrap(),
        version: 3,
        overrides: None,
    };
    AuditRecord {
        scope: run.scope(),
        at: run.created,
        id: id.into(),
        actor: Some(run.user),
        action: AuditAction::RunLaunched,
        subjects: vec![subject(7), subject(8)],
        run: Some(run.id.clone()),
        person: UserId::new(2),
        detail: Some("launch".into()),
    }
}

#[tokio::test]
async fn a_record_is_logged_with_ids_only_and_only_after_its_transaction_took_effect() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(lines.finish()).unwrap();
    let table = Table::start().await;
    let store = Store::new(table.client.clone(), table.name.clone());
    let run = run("ab12ABCDEFGHIJ");
    let actor = Actor::without_token(run.user);
    let settings = Settings::new("test");
    let scope = authorize(&store, &settings, &actor, None, Permission::Launch).await.unwrap();
    let user = [("pk", "USER#1"), ("sk", "META")]
        .map(|(name, text)| (name.to_owned(), AttributeValue::S(text.into())));
    let put = table.quiet().put_item().table_name(&table.name).set_item(Some(user.into()));
    put.send().await.unwrap();
    let begin = async |audit: &str| store.begin_run(&scope, &run, None, None, &record(&run, audit)).await;

    for _ in 0..3 {
        table.faults.fail_next(Fault::Internal);
    }
    begin("1").await.unwrap_err();
    assert_eq!(log.lines().len(), 0, "the transaction failed");
    table.faults.fail_next(Fault::LostReply);
    begin("2").await.unwrap();
    begin("3").await.unwrap_err();
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "one transaction took effect: {lines:?}");
    for (field, value) in [
        ("scope", "USER#1"),
        ("action", "run.launched"),
        ("actor", "1"),
        ("person", "2"),
        ("detail", "launch"),
        ("run.id", "ab12ABCDEFGHIJ"),
        ("subjects", "7@3,8@3"),
        ("audit.id", "2"),
        ("audit.at", "2026-11-23T10:20:30.123456789Z"),
    ] {
        assert_eq!(lines[0][field], value, "{field}");
    }
    assert!(!lines[0].to_string().contains("NCBI"), "names are not logged");
}
