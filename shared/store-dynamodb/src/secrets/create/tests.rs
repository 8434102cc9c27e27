use domain::audit::{AuditAction, AuditRecord};
use domain::idempotency::IdempotentResult;
use domain::ports::{ReadSealedValues, ReadSecrets};
use domain::role::{Permission, Role};
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::Fault;

use super::*;
use crate::rows::s;
use crate::testing::{
    OWNER, TestStore, VIEWER, a_secret, an_audit, idempotency, later, name, secret_id, user, workspace,
};

fn audit_of(scope: &Scope, secrets: &[(Secret, SealedValue)]) -> AuditRecord {
    let secrets: Vec<_> = secrets.iter().map(|(secret, _)| secret).collect();
    an_audit(scope.owner(), AuditAction::SecretCreated, &secrets)
}

async fn create(
    test: &TestStore,
    scope: &Scope,
    secrets: &[(Secret, SealedValue)],
    idempotency: Option<&Idempotency>,
) -> Result<Created> {
    test.store.create_secrets(scope, secrets, idempotency, &audit_of(scope, secrets)).await
}

#[tokio::test]
async fn a_secret_is_three_rows_a_count_and_an_audit_record_in_one_call() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let (secret, sealed) = a_secret(&scope, 7, "NCBI_API_KEY");
    let created = create(&test, &scope, &[(secret.clone(), sealed.clone())], None).await.unwrap();
    assert_eq!(created, Created::Created);
    assert_eq!(test.operations(), ["TransactWriteItems"]);
    assert_eq!(test.store.secret(&scope, secret.id).await.unwrap().unwrap(), secret);
    assert_eq!(test.store.sealed_values(&[(scope.owner(), secret.id)]).await.unwrap(), [sealed]);
    assert!(test.store.secret_named(&scope, &name("ncbi_api_key")).await.unwrap().is_some());
    assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(1), 1));
}

#[tokio::test]
async fn a_name_that_is_taken_in_any_case_is_refused_and_nothing_changes() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    create(&test, &scope, &[a_secret(&scope, 7, "NCBI_API_KEY")], None).await.unwrap();
    let before = test.table.rows().await;
    let import = [a_secret(&scope, 8, "FREE"), a_secret(&scope, 9, "Ncbi_Api_Key")];
    let error = create(&test, &scope, &import, None).await.unwrap_err();
    assert!(matches!(&error, Error::AlreadyExists { existing } if existing == "Ncbi_Api_Key"), "{error}");
    assert_eq!(test.table.rows().await, before);
}

#[tokio::test]
async fn an_id_that_is_taken_is_contended() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    create(&test, &scope, &[a_secret(&scope, 7, "NCBI_API_KEY")], None).await.unwrap();
    let error = create(&test, &scope, &[a_secret(&scope, 7, "OTHER")], None).await.unwrap_err();
    assert!(matches!(error, Error::Contended), "{error}");
}

#[tokio::test]
async fn one_of_several_parallel_creations_of_a_name_succeeds() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let test = &test;
    let scope = &scope;
    let created = join_all((1..=16).map(async |id| {
        let spelling = if id % 2 == 0 { "NCBI_API_KEY" } else { "ncbi_api_key" };
        create(test, scope, &[a_secret(scope, id, spelling)], None).await
    }))
    .await;
    assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 1);
    assert!(
        created
            .iter()
            .all(|created| matches!(created, Ok(Created::Created) | Err(Error::AlreadyExists { .. })))
    );
    assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(1), 1));
}

#[tokio::test]
async fn a_lost_membership_is_not_found_whatever_else_is_wrong() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    create(&test, &scope, &[a_secret(&scope, 7, "TAKEN")], Some(&idempotency("a"))).await.unwrap();
    test.set(Key::count(scope.owner()), "secretCount", n(1_000)).await;
    test.join(OWNER, Role::Launch).await;
    let before = test.table.rows().await;
    for idempotency in [None, Some(idempotency("a"))] {
        let taken = [a_secret(&scope, 8, "TAKEN")];
        let error = create(&test, &scope, &taken, idempotency.as_ref()).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
    }
    test.remove(Key::member(workspace(), user(OWNER))).await;
    let error = create(&test, &scope, &[a_secret(&scope, 8, "FREE")], None).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error}");
    assert_eq!(test.table.rows().await.len(), before.len() - 1);
}

#[tokio::test]
async fn a_user_secret_needs_the_user_and_no_membership() {
    let test = TestStore::start().await;
    let scope = test.user_scope(Permission::WriteSecrets).await;
    create(&test, &scope, &[a_secret(&scope, 7, "OWN")], None).await.unwrap();
    assert_eq!(test.count(scope.owner()).await, Some(1));
    let other = test.scope_of(VIEWER, None, Permission::WriteSecrets).await.unwrap();
    let error = create(&test, &other, &[a_secret(&other, 8, "OWN")], None).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error}");
    assert_eq!(test.keys_beginning("USER#2").await, 0);
}

#[tokio::test]
async fn a_scope_holds_at_most_a_thousand_secrets() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    test.set(Key::count(scope.owner()), "secretCount", n(999)).await;
    let two = [a_secret(&scope, 1, "ONE"), a_secret(&scope, 2, "TWO")];
    let full = |error: &Error| matches!(error, Error::LimitExceeded { limit: 1_000, .. });
    assert!(full(&create(&test, &scope, &two, None).await.unwrap_err()));
    create(&test, &scope, &two[..1], None).await.unwrap();
    let error = create(&test, &scope, &two[1..], None).await.unwrap_err();
    assert!(full(&error));
    assert_eq!(
        error.to_string(),
        "You can have at most 1000 secrets per workspace or user. Delete the ones that you no longer use."
    );
    assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(1_000), 1));
}

#[tokio::test]
async fn parallel_creations_do_not_exceed_the_limit() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    test.set(Key::count(scope.owner()), "secretCount", n(995)).await;
    let (test, scope) = (&test, &scope);
    let created = join_all(
        (1..=16)
            .map(async |id| create(test, scope, &[a_secret(scope, id, &format!("NAME_{id}"))], None).await),
    )
    .await;
    assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 5);
    assert_eq!(test.count(scope.owner()).await, Some(1_000));
}

#[tokio::test]
async fn a_known_idempotency_key_replays_the_first_result_and_changes_nothing() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let key = idempotency("a");
    create(&test, &scope, &[a_secret(&scope, 7, "NCBI_API_KEY")], Some(&key)).await.unwrap();
    test.set(Key::count(scope.owner()), "secretCount", n(1_000)).await;
    let before = test.table.rows().await;
    // Other requests too: the caller compares fingerprints.
    for (id, text, request) in [(8, "NCBI_API_KEY", "a"), (7, "NCBI_API_KEY", "a"), (9, "OTHER", "b")] {
        let again = [a_secret(&scope, id, text)];
        let created = create(&test, &scope, &again, Some(&idempotency(request))).await.unwrap();
        let Created::Replayed(record) = created else {
            panic!("the secret was created twice");
        };
        assert_eq!(record.result, IdempotentResult::Secret(secret_id(7)));
        assert_eq!(idempotency(request).check(&record).is_ok(), request == "a");
    }
    assert_eq!(test.table.rows().await, before);
}

#[tokio::test]
async fn an_expired_idempotency_key_is_free_even_if_its_row_remains() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let key = idempotency("a");
    create(&test, &scope, &[a_secret(&scope, 7, "FIRST")], Some(&key)).await.unwrap();
    let attempt = async |id, seconds| {
        let secrets = [a_secret(&scope, id, &format!("NAME_{id}"))];
        let audit = AuditRecord { at: later(seconds), ..audit_of(&scope, &secrets) };
        test.store.create_secrets(&scope, &secrets, Some(&key), &audit).await.unwrap()
    };
    let a_day = 86_400;
    assert!(matches!(attempt(8, a_day - 1).await, Created::Replayed(_)));
    assert_eq!(attempt(9, a_day).await, Created::Created);
    let Created::Replayed(record) = attempt(10, a_day + 1).await else {
        panic!("the second record does not exist");
    };
    assert_eq!(record.result, IdempotentResult::Secret(secret_id(9)));
}

#[tokio::test]
async fn an_import_of_32_is_one_transaction_of_exactly_100_actions() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let import: Vec<_> = (1..=33).map(|id| a_secret(&scope, id, &format!("NAME_{id}"))).collect();
    create(&test, &scope, &import[..32], Some(&idempotency("a"))).await.unwrap();
    let actions = test.calls()[0].body["TransactItems"].as_array().map(Vec::len);
    assert_eq!((test.operations().len(), actions), (1, Some(100)));
    assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(32), 1));
    let again = create(&test, &scope, &import[..32], Some(&idempotency("a"))).await.unwrap();
    let ids = (1..=32).map(secret_id).collect();
    assert!(matches!(again, Created::Replayed(record) if record.result == IdempotentResult::Secrets(ids)));
    let error = create(&test, &scope, &import, Some(&idempotency("a"))).await.unwrap_err();
    assert!(matches!(error, Error::Bug { .. }), "{error}");
}

#[tokio::test]
async fn a_lost_answer_is_retried_and_has_one_effect() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    test.table.faults.fail_next(Fault::LostReply);
    let created = create(&test, &scope, &[a_secret(&scope, 7, "NCBI_API_KEY")], None).await.unwrap();
    assert_eq!(created, Created::Created);
    let calls = test.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].body["ClientRequestToken"], calls[1].body["ClientRequestToken"]);
    assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(1), 1));
}

#[tokio::test]
async fn a_transaction_conflict_is_contended_unless_another_reason_is_certain() {
    const CONFLICT: &str = "TransactionConflict";
    const FAILED: &str = "ConditionalCheckFailed";
    const NONE: &str = "None";
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let secrets = [a_secret(&scope, 7, "NCBI_API_KEY")];
    // Membership, secret, value, name, count, audit.
    for codes in [
        &[NONE, NONE, NONE, NONE, CONFLICT, NONE],
        &[NONE, NONE, NONE, FAILED, CONFLICT, NONE],
        &[NONE, NONE, NONE, NONE, NONE, FAILED],
        &[NONE, "ProvisionedThroughputExceeded", NONE, NONE, NONE, NONE],
        &[NONE, "ThrottlingError", NONE, NONE, NONE, NONE],
    ] {
        test.table.faults.fail_next(Fault::Cancelled(codes));
        let error = create(&test, &scope, &secrets, None).await.unwrap_err();
        assert!(matches!(error, Error::Contended), "{codes:?}: {error}");
    }
    test.table.faults.fail_next(Fault::Cancelled(&[FAILED, NONE, NONE, FAILED, CONFLICT, NONE]));
    let error = create(&test, &scope, &secrets, None).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error}");
    let known = json!({ "fingerprint": { "B": "AAAA" }, "expires": { "N": "1" }, "secret": { "N": "5" } });
    let reason = |code: &str| json!({ "Code": code });
    let reasons: Vec<Value> = [NONE, NONE, NONE, FAILED, CONFLICT].map(reason).into();
    let reasons = [reasons, vec![json!({ "Code": FAILED, "Item": known }), reason(NONE)]].concat();
    let body = json!({ "__type": "TransactionCanceledException", "CancellationReasons": reasons });
    test.table.faults.fail_next(Fault::Answer { status: 400, body });
    let created = create(&test, &scope, &secrets, Some(&idempotency("a"))).await.unwrap();
    assert!(
        matches!(created, Created::Replayed(record) if record.result == IdempotentResult::Secret(secret_id(5)))
    );
    assert_eq!(test.audits().await, 0);
}

#[tokio::test]
async fn nothing_is_written_under_a_scope_for_reading_or_into_another_scope() {
    let test = TestStore::start().await;
    let reading = test.scope(Permission::ReadSecrets).await;
    let error = create(&test, &reading, &[a_secret(&reading, 7, "NAME")], None).await.unwrap_err();
    assert!(matches!(error, Error::Bug { .. }), "{error}");
    let writing = test.scope(Permission::WriteSecrets).await;
    let of_user = test.user_scope(Permission::WriteSecrets).await;
    let error = create(&test, &writing, &[a_secret(&of_user, 7, "NAME")], None).await.unwrap_err();
    assert!(matches!(error, Error::Bug { .. }), "{error}");
    let (secret, _) = a_secret(&writing, 7, "NAME");
    let (_, other) = a_secret(&writing, 8, "NAME");
    let error = create(&test, &writing, &[(secret, other)], None).await.unwrap_err();
    assert!(matches!(error, Error::Bug { .. }), "{error}");
    assert_eq!(test.operations(), [""; 0]);
}

#[tokio::test]
async fn only_the_value_row_holds_the_envelope() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    create(&test, &scope, &[a_secret(&scope, 7, "NCBI_API_KEY")], Some(&idempotency("a"))).await.unwrap();
    let with_envelope: Vec<_> =
        test.table.rows().await.into_iter().filter(|row| row.contains_key("envelope")).collect();
    assert_eq!(with_envelope.len(), 1);
    assert_eq!(with_envelope[0]["sk"], s("VALUE#7"));
}
