use domain::audit::AuditAction;
use domain::ports::{CreateSecrets, ReadSealedValues, ReadSecrets};
use domain::role::{Permission, Role};
use domain::secret::Secret;
use futures_util::future::join_all;
use support::Fault;

use super::*;
use crate::keys::Key;
use crate::rows::n;
use crate::testing::{OWNER, TestStore, a_secret, an_audit, idempotency, name, next_version, secret_id};

fn creation(scope: &Scope, id: i64, text: &str) -> SecretWrite {
    let (secret, sealed) = a_secret(scope, id, text);
    SecretWrite { secret, sealed, replaced: None }
}

fn update(old: &Secret) -> SecretWrite {
    let (secret, sealed, replaced) = next_version(old);
    SecretWrite { secret, sealed, replaced: Some(replaced) }
}

async fn upsert(
    test: &TestStore,
    scope: &Scope,
    writes: &[SecretWrite],
    idempotency: Option<&Idempotency>,
) -> Result<Created> {
    let of = |updates: bool| {
        let writes = writes.iter().filter(move |write| write.replaced.is_some() == updates);
        writes.map(|write| &write.secret).collect::<Vec<_>>()
    };
    let audit = [(AuditAction::SecretCreated, of(false)), (AuditAction::SecretUpdated, of(true))];
    let audit = audit.iter().filter(|(_, secrets)| !secrets.is_empty());
    let audit: Vec<_> = audit.map(|(action, secrets)| an_audit(scope.owner(), *action, secrets)).collect();
    test.store.upsert_secrets(scope, writes, idempotency, &audit).await
}

/// Stores secrets with the ids from 1 on.
async fn stored(test: &TestStore, scope: &Scope, number: i64) -> Vec<Secret> {
    let secrets: Vec<_> = (1..=number).map(|id| a_secret(scope, id, &format!("OLD_{id}"))).collect();
    let of_audit: Vec<_> = secrets.iter().map(|(secret, _)| secret).collect();
    let audit = an_audit(scope.owner(), AuditAction::SecretCreated, &of_audit);
    test.store.create_secrets(scope, &secrets, None, &audit).await.unwrap();
    test.table.faults.forget();
    secrets.into_iter().map(|(secret, _)| secret).collect()
}

#[tokio::test]
async fn creations_and_updates_take_effect_in_one_call() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let old = stored(&test, &scope, 1).await;
    let writes = [creation(&scope, 7, "NEW"), update(&old[0])];
    assert_eq!(upsert(&test, &scope, &writes, None).await.unwrap(), Created::Created);
    assert_eq!(test.operations(), ["TransactWriteItems"]);
    for write in &writes {
        let id = write.secret.id;
        assert_eq!(test.store.secret(&scope, id).await.unwrap().unwrap(), write.secret);
        let sealed = test.store.sealed_values(&[(scope.owner(), id)]).await.unwrap();
        assert_eq!(sealed, std::slice::from_ref(&write.sealed));
    }
    assert_eq!(test.store.history(&scope, old[0].id).await.unwrap(), [writes[1].replaced.clone().unwrap()]);
    assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(2), 3));
}

#[tokio::test]
async fn a_secret_is_found_by_its_name_in_any_case() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let old = stored(&test, &scope, 1).await;
    for (text, found) in [("OLD_1", true), ("old_1", true), ("OLD_2", false)] {
        let secret = test.store.secret_named(&scope, &name(text)).await.unwrap();
        assert_eq!(secret.as_ref(), found.then_some(&old[0]), "{text}");
    }
    let of_user = test.user_scope(Permission::WriteSecrets).await;
    assert_eq!(test.store.secret_named(&of_user, &name("OLD_1")).await.unwrap(), None);
}

#[tokio::test]
async fn a_change_since_the_read_is_refused_and_nothing_is_written() {
    for (case, code) in [
        ("updated", "version-conflict"),
        ("deleted", "version-conflict"),
        ("name taken", "already-exists"),
        ("name taken in another case", "already-exists"),
        ("id taken", "contended"),
    ] {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let old = stored(&test, &scope, 2).await;
        let mut writes = [creation(&scope, 7, "NEW"), update(&old[0])];
        match case {
            "updated" => drop(upsert(&test, &scope, &writes[1..], None).await.unwrap()),
            "deleted" => test.remove(Key::secret(scope.owner(), old[0].id)).await,
            "name taken" => writes[0] = creation(&scope, 7, "OLD_2"),
            "name taken in another case" => writes[0] = creation(&scope, 7, "old_2"),
            _ => writes[0] = creation(&scope, 2, "NEW"),
        }
        let before = test.table.rows().await;
        let error = upsert(&test, &scope, &writes, None).await.unwrap_err();
        assert_eq!(error.code(), code, "{case}");
        assert_eq!(test.table.rows().await, before, "{case}");
    }
}

#[tokio::test]
async fn only_creations_are_counted() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let old = stored(&test, &scope, 2).await;
    test.set(Key::count(scope.owner()), "secretCount", n(999)).await;
    let writes = [creation(&scope, 7, "NEW"), update(&old[0])];
    upsert(&test, &scope, &writes, None).await.unwrap();
    assert_eq!(test.count(scope.owner()).await, Some(1_000));
    let error =
        upsert(&test, &scope, &[creation(&scope, 8, "MORE"), update(&old[1])], None).await.unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: 1_000, .. }), "{error}");
    upsert(&test, &scope, &[update(&old[1])], None).await.unwrap();
    assert_eq!(test.count(scope.owner()).await, Some(1_000));
}

#[tokio::test]
async fn a_known_idempotency_key_replays_the_outcomes_and_changes_nothing() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let old = stored(&test, &scope, 1).await;
    let writes = [update(&old[0]), creation(&scope, 7, "NEW")];
    let key = idempotency("a");
    upsert(&test, &scope, &writes, Some(&key)).await.unwrap();
    let before = test.table.rows().await;
    // The names exist now, and the version is not current any more.
    let Created::Replayed(record) = upsert(&test, &scope, &writes, Some(&key)).await.unwrap() else {
        panic!("the secrets were written twice");
    };
    let written: Vec<_> = writes.iter().map(SecretWrite::written).collect();
    assert_eq!(record.result, IdempotentResult::Upserted(written));
    assert_eq!(test.table.rows().await, before);
}

#[tokio::test]
async fn the_largest_upserts_fit_in_one_transaction() {
    // Half of the secrets are new, so that each row that can occur does.
    for (number, key, actions) in [(32, None, 100), (31, Some(idempotency("a")), 98)] {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let old = stored(&test, &scope, 16).await;
        let creations = (17..=number).map(|id| creation(&scope, id, &format!("NEW_{id}")));
        let writes: Vec<_> = old.iter().map(update).chain(creations).collect();
        upsert(&test, &scope, &writes, key.as_ref()).await.unwrap();
        let sent = test.calls()[0].body["TransactItems"].as_array().map(Vec::len);
        assert_eq!(sent, Some(actions), "{number}");
        assert_eq!(test.count(scope.owner()).await, Some(number), "{number}");
    }
}

#[tokio::test]
async fn a_lowered_role_stops_the_write() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let old = stored(&test, &scope, 1).await;
    test.join(OWNER, Role::Maintain).await;
    let before = test.table.rows().await;
    let error = upsert(&test, &scope, &[update(&old[0])], None).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error}");
    assert_eq!(test.table.rows().await, before);
}

#[tokio::test]
async fn parallel_upserts_lose_no_version() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    stored(&test, &scope, 2).await;
    let (test, scope) = (&test, &scope);
    join_all((0..8).map(async |_| {
        loop {
            let mut writes = Vec::new();
            for id in [1, 2] {
                let current = test.store.secret(scope, secret_id(id)).await.unwrap().unwrap();
                writes.push(update(&current));
            }
            match upsert(test, scope, &writes, None).await {
                Ok(_) => return,
                Err(error) => assert!(matches!(error, Error::VersionConflict), "{error}"),
            }
        }
    }))
    .await;
    for id in [1, 2].map(secret_id) {
        assert_eq!(test.store.secret(scope, id).await.unwrap().unwrap().version, 9);
        assert_eq!(test.store.history(scope, id).await.unwrap().len(), 8);
    }
}

#[tokio::test]
async fn a_lost_answer_is_retried_and_a_conflict_is_contended() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let old = stored(&test, &scope, 1).await;
    test.table.faults.fail_next(Fault::Cancelled(&["None", "TransactionConflict", "None", "None", "None"]));
    let error = upsert(&test, &scope, &[update(&old[0])], None).await.unwrap_err();
    assert!(matches!(error, Error::Contended), "{error}");
    test.table.faults.fail_next(Fault::LostReply);
    upsert(&test, &scope, &[update(&old[0])], None).await.unwrap();
    assert_eq!(test.store.secret(&scope, old[0].id).await.unwrap().unwrap().version, 2);
    assert_eq!((test.keys_beginning("HISTORY#").await, test.audits().await), (1, 2));
}
