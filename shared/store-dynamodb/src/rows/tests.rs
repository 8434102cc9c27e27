use std::time::Duration;

use domain::audit::{AuditAction, AuditRecord};
use domain::copies::{Layout, RunCopy};
use domain::environment::{ListedEnvironment, Target};
use domain::idempotency::{Idempotency, IdempotencyRecord, IdempotentResult};
use domain::identity::{Change, Login, Organization, StoredToken, User, Workspace};
use domain::ids::{OrgId, TokenId, WorkspaceId};
use domain::owner::SecretOwner;
use domain::ports::{
    ChangeIdentity, CreateSecrets, HeadJobs, ReadSecrets, ReserveCreations, UpdateSecrets, UpsertSecrets,
};
use domain::reservation::SlotRequest;
use domain::role::{Permission, Role};
use domain::run::{HeadJob, Outcome, ReportedBy, Run, RunResult, State};
use domain::secret::{OldVersion, SealedValue, Secret, SecretWrite, WriteOutcome, Written};
use domain::token::TokenKey;
use domain::token_scope::TokenScope;
use serde_json::{Value, json};

use super::*;
use crate::environments::row::{credentials_row, environment_row, listed_row};
use crate::secrets::row::{sealed_row, secret_row};
use crate::testing::{
    Fixed, TestStore, a_run, a_secret, a_stored_environment, a_workspace, advanced, an_audit, an_environment,
    idempotency, later, next_version, now, run_audit, secret_id, some_credentials, user,
};

/// The rows that the last call put, in DynamoDB's JSON.
fn put_rows(test: &TestStore) -> Vec<Value> {
    let mut body = test.calls().pop().unwrap().body;
    let items = body["TransactItems"].as_array_mut().unwrap();
    items.iter_mut().map(|item| item["Put"]["Item"].take()).filter(Value::is_object).collect()
}

/// A record with a fixed id, at a time that no other record has.
fn audit(record: AuditRecord, seconds: i64) -> AuditRecord {
    AuditRecord { id: "9".into(), at: later(seconds), ..record }
}

async fn rows_of_secrets(test: &TestStore) -> Vec<Value> {
    let scope = test.scope(Permission::WriteSecrets).await;
    let (secret, sealed) = a_secret(&scope, 7, "NCBI_API_KEY");
    let created = audit(an_audit(scope.owner(), AuditAction::SecretCreated, &[&secret]), 0);
    let secrets = [(secret.clone(), SealedValue { envelope: vec![1, 2], ..sealed })];
    test.store.create_secrets(&scope, &secrets, Some(&idempotency("a")), &created).await.unwrap();
    let mut rows = put_rows(test);
    let (second, sealed, replaced) = next_version(&secret);
    let updated = audit(an_audit(scope.owner(), AuditAction::SecretUpdated, &[&second]), 1);
    test.store.update_secret(&scope, &second, &sealed, &replaced, &updated).await.unwrap();
    rows.push(put_rows(test).swap_remove(1));
    rows
}

async fn rows_of_runs(test: &TestStore) -> Vec<Value> {
    let mut run = a_run("a");
    run.lifecycle.due = Some(now());
    let launched = audit(run_audit(&run, AuditAction::RunLaunched), 2);
    let launched = AuditRecord { person: Some(user(2)), detail: Some("why".into()), ..launched };
    test.begin_run(&run, Some(&idempotency("b")), None, &launched).await.unwrap();
    let mut rows = put_rows(test);
    let run = an_ended_run();
    let launched = audit(run_audit(&run, AuditAction::RunLaunched), 3);
    test.begin_run(&run, None, None, &launched).await.unwrap();
    rows.push(put_rows(test).swap_remove(0));
    rows
}

async fn row_of_a_head_job(test: &TestStore) -> Value {
    let run = a_run("c");
    test.begin_run(&run, None, None, &run_audit(&run, AuditAction::RunLaunched)).await.unwrap();
    let job = HeadJob { job_id: "j-1".into(), queue: "q".into(), region: "eu-west-1".into(), account: None };
    let recorded = advanced(&run, |lifecycle| lifecycle.head_job = Some(job.clone()));
    let audit = run_audit(&recorded, AuditAction::RunHeadJobRecorded);
    test.store.record_head_job(&run, &recorded.lifecycle, &job, &audit).await.unwrap();
    put_rows(test).swap_remove(0)
}

async fn row_of_the_queue(test: &TestStore) -> Value {
    for seconds in [0, -60] {
        // The second launch has a clock that is so far behind that the queue seems full.
        let request = SlotRequest::new(20, later(seconds), Duration::from_secs(29));
        test.store.reserve_creations(&request).await.unwrap();
    }
    let row = test.row(Key::creations()).await.unwrap().0;
    let text = |name: &str| match &row[name] {
        AttributeValue::N(number) => json!({ "N": number }),
        other => json!({ "S": other.as_s().unwrap() }),
    };
    row.keys().map(|name| (name.clone(), text(name))).collect()
}

/// A run with the fragments of Nextflow's store.
fn a_plugin_run() -> Run {
    let mut run = Run { layout: Layout::Plugin, ..a_run("d") };
    let store = RunCopy { name: "tower-d0000000000000.nextflow".into(), store: true, ..copy(&run) };
    run.lifecycle.copies.push(store);
    run
}

fn copy(run: &Run) -> RunCopy {
    run.lifecycle.copies[0].clone()
}

async fn row_of_a_plugin_run(test: &TestStore) -> Value {
    let run = a_plugin_run();
    let launched = audit(run_audit(&run, AuditAction::RunLaunched), 5);
    test.begin_run(&run, None, None, &launched).await.unwrap();
    put_rows(test).swap_remove(0)
}

async fn row_of_a_cancelled_run(test: &TestStore) -> Value {
    let mut run = a_run("e");
    run.lifecycle.outcome = Some(Outcome {
        result: RunResult::Cancelled,
        exit_status: None,
        reported_by: ReportedBy::User,
        cancelled_by: Some(user(9)),
    });
    let launched = audit(run_audit(&run, AuditAction::RunCancelled), 7);
    test.begin_run(&run, None, None, &launched).await.unwrap();
    put_rows(test).swap_remove(0)
}

async fn row_of_a_run_of_a_token(test: &TestStore) -> Value {
    let token = TokenId::new(6).unwrap();
    let run = Run { launched_with: Some(token), ..a_run("f") };
    test.seed(Key::token_of_user(run.user, token).with([("id", n(token))])).await;
    let launched = audit(run_audit(&run, AuditAction::RunLaunched), 8);
    test.begin_run(&run, None, None, &launched).await.unwrap();
    put_rows(test).swap_remove(0)
}

async fn row_of_an_upsert(test: &TestStore) -> Value {
    let scope = test.scope(Permission::WriteSecrets).await;
    let old = test.store.secret(&scope, secret_id(7)).await.unwrap().unwrap();
    let (new, new_sealed) = a_secret(&scope, 8, "LICENSE");
    let (secret, sealed, replaced) = next_version(&old);
    let writes = [
        SecretWrite { secret: new, sealed: new_sealed, replaced: None },
        SecretWrite { secret, sealed, replaced: Some(replaced) },
    ];
    let updated = audit(an_audit(scope.owner(), AuditAction::SecretUpdated, &[]), 6);
    let key = Idempotency::new(user(1), "another-idempotency-key", [b"c".as_slice()]).unwrap();
    test.store.upsert_secrets(&scope, &writes, Some(&key), &[updated]).await.unwrap();
    let is_record = |row: &Value| row["pk"] == json!({ "S": "IDEM#1" });
    put_rows(test).into_iter().find(is_record).unwrap()
}

/// A run in an environment, its head job, and the rows of the environment.
async fn rows_of_environments(test: &TestStore) -> Vec<Value> {
    let run = Run { target: Target::Elsewhere(an_environment("a")), ..a_run("g") };
    let launched = audit(run_audit(&run, AuditAction::RunLaunched), 9);
    test.begin_run(&run, None, None, &launched).await.unwrap();
    let mut rows = vec![put_rows(test).swap_remove(0)];
    let account = Some("210987654321".into());
    let job = HeadJob { job_id: "j-1".into(), queue: "q".into(), region: "eu-central-1".into(), account };
    let recorded = advanced(&run, |lifecycle| lifecycle.head_job = Some(job.clone()));
    let audit = run_audit(&recorded, AuditAction::RunHeadJobRecorded);
    test.store.record_head_job(&run, &recorded.lifecycle, &job, &audit).await.unwrap();
    rows.push(put_rows(test).swap_remove(0));
    let workspace = a_workspace().id;
    let listed = ListedEnvironment { environment: an_environment("a"), workspace, kept_until: None };
    for row in [
        credentials_row(&some_credentials("a")).unwrap(),
        environment_row(&a_stored_environment("a")).unwrap(),
        listed_row(&listed).unwrap(),
    ] {
        let text = |value: AttributeValue| match value {
            AttributeValue::N(number) => json!({ "N": number }),
            other => json!({ "S": other.as_s().unwrap() }),
        };
        rows.push(row.into_iter().map(|(name, value)| (name, text(value))).collect());
    }
    rows
}

/// A run with every field that [`a_run`] lacks, and without those that it has.
fn an_ended_run() -> Run {
    let mut run = Run { workspace: None, ..a_run("b") };
    let lifecycle = &mut run.lifecycle;
    lifecycle.state = State::Ended;
    lifecycle.due = None;
    lifecycle.claim_token = Some(lifecycle.run_token.clone());
    lifecycle.claimed = Some(later(3));
    lifecycle.delivered = Some(later(4));
    lifecycle.ending = Some(later(5));
    lifecycle.removed = Some(later(6));
    lifecycle.copies[0].arn = Some("arn".into());
    lifecycle.head_job =
        Some(HeadJob { job_id: "j-1".into(), queue: "q".into(), region: "r".into(), account: None });
    lifecycle.outcome = Some(Outcome {
        result: RunResult::LaunchFailed,
        exit_status: Some(-9),
        reported_by: ReportedBy::HeadJob,
        cancelled_by: None,
    });
    run
}

fn a_token() -> StoredToken {
    StoredToken {
        id: TokenId::new(5).unwrap(),
        user: user(9),
        name: "CI".into(),
        hash: TokenKey::make_random(&Fixed).hash(),
        created: now(),
        last_used: None,
        expires: Some(later(60)),
        workspace: None,
        scope: TokenScope::All,
        created_with: None,
    }
}

/// A token with every limit. [`a_token`] has none: its row is that of tokens before limits.
fn a_limited_token() -> StoredToken {
    StoredToken {
        workspace: Some(a_workspace().id),
        scope: TokenScope::Launch,
        created_with: TokenId::new(5),
        name: "HPC".into(),
        ..a_token()
    }
}

async fn row_of_a_limited_token(test: &TestStore) -> Value {
    let (id, maker) = (TokenId::new(6).unwrap(), TokenId::new(5).unwrap());
    test.seed(Key::token_of_user(user(9), maker).with([("id", n(maker))])).await;
    let changes = [Change::CreateToken(StoredToken { id, ..a_limited_token() })];
    let created = an_audit(SecretOwner::User(user(9)), AuditAction::TokenCreated, &[]);
    test.store.change_identity(&changes, &[audit(created, 5)], None).await.unwrap();
    put_rows(test).swap_remove(0)
}

async fn row_of_a_deletion(test: &TestStore) -> Value {
    let guard = Key::new(format!("ORG#{}", a_workspace().org), "WS#lab");
    test.seed(guard.with([("id", n(a_workspace().id))])).await;
    let change = Change::DeleteWorkspace { workspace: a_workspace(), members: vec![], at: now() };
    let deleted = an_audit(SecretOwner::Workspace(a_workspace().id), AuditAction::WorkspaceDeleted, &[]);
    test.store.change_identity(&[change], &[audit(deleted, 18)], None).await.unwrap();
    put_rows(test).swap_remove(0)
}

async fn rows_of_identity(test: &TestStore) -> Vec<Value> {
    let new = User {
        id: user(9),
        user_name: "Olivia".into(),
        email: "O@example.org".into(),
        created: now(),
        disabled: None,
        grants: 0,
        removed: None,
    };
    let login = Login { issuer: "https://issuer".into(), subject: "s".into() };
    let created = Workspace { id: WorkspaceId::new(77).unwrap(), ..a_workspace() };
    let changes = [
        Change::CreateUser(new, Some(login)),
        Change::CreateToken(a_token()),
        Change::CreateOrganization(Organization { id: OrgId::new(5).unwrap(), name: "Acme".into() }),
        Change::CreateWorkspace(created.clone()),
        Change::SetRole { workspace: created.id, user: user(9), from: None, to: Some(Role::Owner) },
    ];
    let changed = an_audit(SecretOwner::Workspace(a_workspace().id), AuditAction::SecretUpdated, &[]);
    test.store.change_identity(&changes, &[audit(changed, 4)], None).await.unwrap();
    put_rows(test)
}

#[tokio::test]
async fn the_stored_form_of_every_row_is_frozen() {
    // Versions of the functions overlap during a deployment, and rows outlive many of them.
    let frozen: Vec<_> = frozen().collect();
    let test = TestStore::start().await;
    let mut rows = rows_of_secrets(&test).await;
    rows.extend(rows_of_runs(&test).await);
    rows.extend(rows_of_identity(&test).await);
    rows.push(row_of_a_head_job(&test).await);
    rows.push(row_of_the_queue(&test).await);
    rows.push(row_of_a_plugin_run(&test).await);
    rows.push(row_of_an_upsert(&test).await);
    rows.push(row_of_a_cancelled_run(&test).await);
    rows.push(row_of_a_limited_token(&test).await);
    rows.push(row_of_a_run_of_a_token(&test).await);
    rows.extend(rows_of_environments(&test).await);
    rows.push(row_of_a_deletion(&test).await);
    for row in &rows {
        assert!(frozen.contains(row), "not frozen: {row}");
    }
    assert_eq!(rows.len() + WRITTEN_BY_EARLIER_VERSIONS, frozen.len());
}

/// The number of lines whose form is still read but no longer written.
const WRITTEN_BY_EARLIER_VERSIONS: usize = 4;

/// A row in DynamoDB's JSON.
fn row_of(row: &Value) -> Row {
    fn value(json: &Value) -> AttributeValue {
        let (kind, content) = json.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "S" => s(content.as_str().unwrap()),
            "N" => n(content.as_str().unwrap()),
            "BOOL" => AttributeValue::Bool(content.as_bool().unwrap()),
            "L" => AttributeValue::L(content.as_array().unwrap().iter().map(value).collect()),
            "M" => AttributeValue::M(map(content)),
            _ => AttributeValue::B(Blob::new([1])),
        }
    }
    fn map(json: &Value) -> Attributes {
        json.as_object().unwrap().iter().map(|(name, json)| (name.clone(), value(json))).collect()
    }
    Row(map(row))
}

fn frozen() -> impl Iterator<Item = Value> {
    include_str!("frozen.jsonl").lines().map(|line| serde_json::from_str(line).unwrap())
}

#[test]
fn frozen_runs_are_read_with_the_copies_that_job_definitions_refer_to_and_the_store() {
    let frozen = frozen().filter(|row| row["pk"]["S"].as_str().unwrap().starts_with("RUN#"));
    let read: Vec<_> = frozen
        .map(|row| {
            let run = Run::from_row(row_of(&row)).unwrap();
            let copies: Vec<_> =
                run.lifecycle.copies.iter().map(|copy| (copy.name.clone(), copy.store)).collect();
            (run.layout, copies)
        })
        .collect();
    let named = |id: &str, suffix: &str| format!("tower-{id:0<14}{suffix}");
    let expected = [
        (Layout::Bundle, vec![(named("a", ""), false)]),
        (Layout::Bundle, vec![(named("b", ""), false)]),
        (Layout::Plugin, vec![(named("d", ""), false), (named("d", ".nextflow"), true)]),
        (Layout::Bundle, vec![(named("e", ""), false)]),
        (Layout::Plugin, vec![(named("d", ""), false), (named("d", ".nextflow"), true)]),
        (Layout::Bundle, vec![(named("f", ""), false)]),
        (Layout::Bundle, vec![(named("g", ""), false)]),
    ];
    assert_eq!(read, expected);
}

#[test]
fn a_frozen_result_of_an_upsert_is_read_with_its_outcomes() {
    let row = frozen().find(|row| !row["outcomes"].is_null()).unwrap();
    let written = [(8, WriteOutcome::Created), (7, WriteOutcome::Updated)];
    let written = written.map(|(id, outcome)| Written { id: secret_id(id), outcome });
    let record = IdempotencyRecord::from_row(row_of(&row)).unwrap();
    assert_eq!(record.result, IdempotentResult::Upserted(written.into()));
}

/// Reads a row of one kind, for the outcome only.
type Read = fn(Row) -> Result<()>;

fn read<T: FromRow>(row: Row) -> Result<()> {
    T::from_row(row).map(|_| ())
}

/// A row of each kind, its reader, and the attributes that the reader ignores.
async fn rows_with_readers() -> Vec<(Row, Read, &'static [&'static str])> {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::ReadSecrets).await;
    let (mut secret, sealed) = a_secret(&scope, 7, "NCBI_API_KEY");
    secret.last_used = Some(now());
    secret.properties.lost = true;
    let (_, _, replaced) = next_version(&secret);
    let key = Key::history(secret.owner, secret.id, 1);
    let run = Run { workspace: Some(a_workspace().id), ..an_ended_run() };
    let run = Key::run(&run.id).row(fields(&run).unwrap());
    let token = fields(&a_limited_token()).unwrap();
    vec![
        (Row(secret_row(&secret).unwrap()), read::<Secret>, &["due", "dueShard"]),
        (Row(sealed_row(&sealed)), read::<SealedValue>, &[]),
        (Row(key.row(fields(&replaced).unwrap())), |row| row.read().map(|_: OldVersion| ()), &["pk", "sk"]),
        (Row(run), read::<Run>, &["id", "sk"]),
        (Row(Key::token(a_token().id).row(token)), read::<StoredToken>, &["pk", "sk"]),
    ]
}

#[tokio::test]
async fn an_attribute_of_another_type_is_an_error_and_does_not_count_as_missing() {
    let others = [
        AttributeValue::B(Blob::new([1])),
        AttributeValue::Ss(vec!["a".into()]),
        AttributeValue::Ns(vec!["1".into()]),
        AttributeValue::M(Attributes::new()),
        AttributeValue::L(vec![AttributeValue::Bool(true)]),
        n("1.5"),
        n("not a number"),
        s("\u{1}"),
    ];
    for (row, read, not_read) in rows_with_readers().await {
        read(row.clone()).unwrap();
        for name in row.0.keys().filter(|name| !not_read.contains(&name.as_str())) {
            for other in others.iter().filter(|other| !fits(name, other)) {
                let mut changed = row.clone();
                changed.0.insert(name.clone(), other.clone());
                let outcome = read(changed);
                assert!(matches!(outcome, Err(Error::Bug { .. })), "{name} as {other:?}: {outcome:?}");
            }
        }
    }
}

/// Whether the value is valid for the attribute: an envelope is bytes, and any text can be a
/// description, a token's name or a hash.
fn fits(name: &str, value: &AttributeValue) -> bool {
    match value {
        AttributeValue::B(_) => name == "envelope",
        AttributeValue::S(_) => ["description", "name", "hash", "runToken", "claimToken"].contains(&name),
        _ => false,
    }
}

#[tokio::test]
async fn a_null_attribute_counts_as_missing() {
    for (row, read, _) in rows_with_readers().await {
        for name in row.0.keys() {
            let (mut null, mut absent) = (row.clone(), row.clone());
            null.0.insert(name.clone(), AttributeValue::Null(true));
            absent.0.remove(name);
            assert_eq!(read(null).is_ok(), read(absent).is_ok(), "{name}");
        }
    }
}

#[tokio::test]
async fn an_id_in_a_row_is_validated_like_one_from_a_client() {
    for (row, read, _) in rows_with_readers().await {
        for name in ["createdBy", "writtenBy", "user", "workspace", "id"] {
            for bad_id in [n(0), n(-1), n(1_i64 << 53), s("1")] {
                let mut changed = row.clone();
                if changed.0.insert(name.into(), bad_id).is_some_and(|id| id.is_n()) {
                    read(changed).unwrap_err();
                }
            }
        }
    }
}

#[tokio::test]
async fn text_in_a_row_is_validated_like_text_from_a_client() {
    let row = rows_with_readers().await.swap_remove(0).0;
    for (name, text) in [
        ("pk", "ORG#1"),
        ("pk", "WS#0"),
        ("sk", "SECRET"),
        ("sk", "SECRET#0"),
        ("sk", "SECRET#7#8"),
        ("name", "no name"),
        ("description", &"x".repeat(257)),
        ("createdAt", "yesterday"),
        ("lastUsed", ""),
    ] {
        let mut changed = row.clone();
        changed.0.insert(name.into(), s(text));
        assert!(matches!(Secret::from_row(changed), Err(Error::Bug { .. })), "{name}: {text:?}");
    }
}
