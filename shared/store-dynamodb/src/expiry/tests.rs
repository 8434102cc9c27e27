use aws_sdk_dynamodb::types::AttributeValue;
use domain::Error;
use domain::audit::AuditAction;
use domain::identity::Change;
use domain::ids::{SecretId, TokenId};
use domain::owner::Scope;
use domain::ports::{
    ChangeIdentity, CreateSecrets, DeleteSecrets, FindDueRuns, ReadTokens, Reconcile, UpdateSecrets,
    UpsertSecrets,
};
use domain::role::Permission;
use domain::secret::SecretWrite;
use domain::token::TokenKey;
use domain::token_scope::TokenScope;
use support::Fault;

use super::*;
use crate::rows::{Attributes, holds};
use crate::secrets::row::{sealed_row, secret_row};
use crate::testing::{
    Fixed, OWNER, TestStore, VIEWER, a_run, a_secret, a_user, an_audit, later, next_version, run_audit,
    secret_id, user,
};

const DAY: i64 = 86_400;

fn a_token(id: i64, expires: Option<Timestamp>) -> StoredToken {
    StoredToken {
        id: TokenId::new(id).unwrap(),
        user: user(OWNER),
        name: format!("token {id}"),
        hash: TokenKey::make_random(&Fixed).hash(),
        created: later(0),
        last_used: None,
        expires,
        workspace: None,
        scope: TokenScope::All,
        created_with: None,
    }
}

async fn create_token(test: &TestStore, token: &StoredToken) {
    let audit = an_audit(SecretOwner::User(token.user), AuditAction::TokenCreated, &[]);
    test.store.change_identity(&[Change::CreateToken(token.clone())], &[audit], None).await.unwrap();
}

async fn create_secret(test: &TestStore, scope: &Scope, id: i64, expires: Option<Timestamp>) -> Secret {
    let (secret, sealed) = a_secret(scope, id, &format!("SECRET_{id}"));
    let secret = Secret { expires, ..secret };
    let audit = an_audit(scope.owner(), AuditAction::SecretCreated, &[&secret]);
    test.store.create_secrets(scope, &[(secret.clone(), sealed)], None, &audit).await.unwrap();
    secret
}

fn key(secret: &Secret) -> ExpiringKey {
    ExpiringKey::Secret(secret.owner, secret.id)
}

/// What the index lists for all times.
async fn listed(test: &TestStore) -> Vec<ExpiringKey> {
    test.store.expiring(Timestamp::MIN, Timestamp::MAX, 1_000).await.unwrap().keys
}

#[tokio::test]
async fn secrets_and_tokens_are_listed_by_expiry_in_four_queries_of_keys() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let own = test.user_scope(Permission::WriteSecrets).await;
    let first = create_secret(&test, &scope, 4, Some(later(30))).await;
    let second = create_secret(&test, &own, 5, Some(later(20))).await;
    let beyond = create_secret(&test, &scope, 6, Some(later(61))).await;
    create_secret(&test, &scope, 7, None).await;
    create_token(&test, &a_token(8, Some(later(10)))).await;
    create_token(&test, &a_token(9, Some(later(60)))).await;
    create_token(&test, &a_token(10, None)).await;
    test.table.faults.forget();
    let token = |id| ExpiringKey::Token(TokenId::new(id).unwrap());
    let expiring =
        async |from, until, limit| test.store.expiring(later(from), later(until), limit).await.unwrap().keys;
    assert_eq!(expiring(0, 60, 10).await, [token(8), key(&second), key(&first), token(9)]);
    assert_eq!(test.operations(), ["Query"; 4]);
    assert!(test.calls().iter().all(|call| call.body["IndexName"] == "due"));
    assert_eq!(expiring(0, 60, 2).await, [token(8), key(&second)]);
    assert_eq!(expiring(20, 20, 10).await, [key(&second)]);
    assert_eq!(expiring(11, 19, 10).await, []);
    assert_eq!(expiring(0, 61, 10).await.last(), Some(&key(&beyond)));
}

#[tokio::test]
async fn an_expiry_within_the_same_millisecond_is_listed_because_the_row_decides() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let expires: Timestamp = "2026-12-01T00:00:00.000400Z".parse().unwrap();
    let secret = create_secret(&test, &scope, 4, Some(expires)).await;
    let just = "2026-12-01T00:00:00.000399Z".parse().unwrap();
    assert_eq!(test.store.expiring(just, expires, 10).await.unwrap().keys, [key(&secret)]);
}

/// Each way in which a row with an expiry is written.
#[tokio::test]
async fn every_write_of_a_secret_lists_it_with_its_current_expiry() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::DeleteSecrets).await;
    let first = create_secret(&test, &scope, 4, Some(later(DAY))).await;
    let row = async || test.row(Key::secret(scope.owner(), first.id)).await.unwrap();
    let due = |days: i64| n(later(days * DAY).as_millisecond());
    assert!(holds(&row().await, "due", &due(1)) && holds(&row().await, "dueShard", &s("EXPIRY#0")));
    let audit = |secret: &Secret| an_audit(scope.owner(), AuditAction::SecretUpdated, &[secret]);
    let (second, sealed, replaced) = next_version(&Secret { expires: Some(later(2 * DAY)), ..first.clone() });
    test.store.update_secret(&scope, &second, &sealed, &replaced, &audit(&second)).await.unwrap();
    assert!(holds(&row().await, "due", &due(2)));
    let (third, sealed, replaced) = next_version(&Secret { expires: None, ..second });
    test.store.update_secret(&scope, &third, &sealed, &replaced, &audit(&third)).await.unwrap();
    assert!(!row().await.0.contains_key("due") && !row().await.0.contains_key("dueShard"));
    assert_eq!(listed(&test).await, []);
    let (fourth, sealed, replaced) = next_version(&Secret { expires: Some(later(4 * DAY)), ..third });
    let (new, new_sealed) = a_secret(&scope, 5, "NEW");
    let writes = [
        SecretWrite { secret: new.clone(), sealed: new_sealed, replaced: None },
        SecretWrite { secret: fourth.clone(), sealed, replaced: Some(replaced) },
    ];
    test.store.upsert_secrets(&scope, &writes, None, &[audit(&fourth)]).await.unwrap();
    assert!(holds(&row().await, "due", &due(4)));
    assert_eq!(listed(&test).await, [key(&new), key(&fourth)]);
    let mut lost = fourth.clone();
    (lost.version, lost.properties.lost) = (9, true);
    test.store.mark_value_lost(&fourth, &lost, &audit(&lost)).await.unwrap();
    assert!(holds(&row().await, "due", &due(4)));
    for secret in [&new, &lost] {
        test.store.delete_secret(&scope, secret, &audit(secret)).await.unwrap();
    }
    assert_eq!(listed(&test).await, []);
}

#[tokio::test]
async fn a_token_is_listed_until_it_is_revoked_and_its_use_changes_nothing() {
    let test = TestStore::start().await;
    let token = a_token(7, Some(later(DAY)));
    create_token(&test, &token).await;
    let row = test.row(Key::token(token.id)).await.unwrap();
    assert!(holds(&row, "due", &n(later(DAY).as_millisecond())) && holds(&row, "dueShard", &s("EXPIRY#3")));
    test.store.record_token_use(token.id, later(30)).await.unwrap();
    assert_eq!(listed(&test).await, [ExpiringKey::Token(token.id)]);
    let audit = an_audit(SecretOwner::User(token.user), AuditAction::TokenRevoked, &[]);
    test.store.change_identity(&[Change::RevokeToken(token.clone())], &[audit], None).await.unwrap();
    assert_eq!(listed(&test).await, []);
    let unlimited = a_token(8, None);
    create_token(&test, &unlimited).await;
    assert!(!test.row(Key::token(unlimited.id)).await.unwrap().0.contains_key("due"));
}

#[tokio::test]
async fn the_sweep_and_the_check_of_expiries_do_not_see_each_others_rows() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let mut run = a_run("a");
    run.lifecycle.due = Some(later(10));
    test.begin_run(&run, None, None, &run_audit(&run, AuditAction::RunLaunched)).await.unwrap();
    let secret = create_secret(&test, &scope, 4, Some(later(10))).await;
    create_token(&test, &a_token(8, Some(later(11)))).await;
    assert_eq!(test.store.due_runs(later(60), 10).await.unwrap(), [run.id]);
    assert_eq!(listed(&test).await, [key(&secret), ExpiringKey::Token(TokenId::new(8).unwrap())]);
}

#[tokio::test]
async fn a_row_that_is_neither_a_secret_nor_a_token_is_skipped() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let secret = create_secret(&test, &scope, 4, Some(later(10))).await;
    let pk = secrets_of(scope.owner());
    for (pk, sk) in [
        ("RUN#ab12ABCDEFGHIJ", "RUN"),
        (&pk, "VALUE#4"),
        (&pk, "SECRET#"),
        (&pk, "SECRET#x"),
        (&pk, "COUNT"),
        ("SECRETS#WS#x", "SECRET#4"),
        ("TOKEN#x", "TOKEN"),
        ("TOKEN#5", "OTHER"),
        ("WS#42", "SECRET#4"),
    ] {
        test.seed(
            Key::new(pk, sk).with([("dueShard", s("EXPIRY#0")), ("due", n(later(5).as_millisecond()))]),
        )
        .await;
    }
    assert_eq!(listed(&test).await, [key(&secret)]);
}

/// Functions that report about runs write `dueShard` and `due` of runs, and `write-secrets` any row
/// of secrets.
#[tokio::test]
async fn other_rows_displace_no_secret_or_token_without_notice() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let secret = create_secret(&test, &scope, 4, Some(later(10))).await;
    let seed = async |pk: String, sk: &str| {
        let due = n(later(5).as_millisecond());
        test.seed(Key::new(pk, sk).with([("dueShard", s("EXPIRY#0")), ("due", due)])).await;
    };
    for number in 0..5 {
        seed(format!("RUN#{number}"), "RUN").await;
    }
    let expiring = async |limit| test.store.expiring(later(0), later(60), limit).await.unwrap();
    let keys = vec![key(&secret)];
    assert_eq!(expiring(2).await, ExpiringKeys { keys: keys.clone(), complete: true });
    assert_eq!(
        expiring(1).await,
        ExpiringKeys { keys: keys.clone(), complete: false },
        "one more may be left"
    );
    seed(secrets_of(scope.owner()), "SECRET#x").await;
    assert_eq!(expiring(3).await, ExpiringKeys { keys, complete: true });
    assert_eq!(expiring(1).await, ExpiringKeys { keys: vec![], complete: false });
    // One row in each of three partitions.
    let test = TestStore::start().await;
    for id in [9, 10, 11] {
        create_token(&test, &a_token(id, Some(later(id)))).await;
    }
    for (limit, complete) in [(2, false), (3, true)] {
        let found = test.store.expiring(later(0), later(60), limit).await.unwrap();
        assert_eq!((found.keys.len(), found.complete), (limit as usize, complete));
    }
}

#[tokio::test]
async fn rows_are_read_in_one_consistent_call_and_never_a_value() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let secret = create_secret(&test, &scope, 4, Some(later(10))).await;
    let token = a_token(8, Some(later(11)));
    create_token(&test, &token).await;
    let corrupt = create_secret(&test, &scope, 5, Some(later(10))).await;
    test.set(Key::secret(scope.owner(), corrupt.id), "version", s("x")).await;
    for key in [Key::secret(scope.owner(), secret.id), Key::token(token.id)] {
        test.set(key, "lastUsed", n(1)).await;
    }
    test.table.faults.forget();
    let gone = ExpiringKey::Secret(scope.owner(), SecretId::new(6).unwrap());
    let keys = [key(&secret), ExpiringKey::Token(token.id), gone, key(&corrupt), key(&secret)];
    let read = test.store.read_expiring(&keys).await.unwrap();
    assert_eq!(test.operations(), ["BatchGetItem"]);
    let request = &test.calls()[0].body["RequestItems"]["pipeline-secrets"];
    assert_eq!(request["ConsistentRead"], true);
    assert!(!request["Keys"].to_string().contains("VALUE#"));
    let (readable, errors): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
    assert_eq!((readable.len(), errors.len()), (2, 1));
    for expected in [Expiring::Secret(secret), Expiring::Token(token)] {
        assert!(readable.iter().any(|one| one.as_ref().unwrap() == &expected), "{expected:?}");
    }
}

#[tokio::test]
async fn only_users_that_exist_and_are_not_disabled_are_enabled() {
    let test = TestStore::start().await;
    for (number, name) in [(OWNER, "olivia"), (VIEWER, "victor")] {
        let user = a_user(number, name);
        test.seed(Key::meta(SecretOwner::User(user.id)).row(fields(&user).unwrap())).await;
    }
    test.set(Key::meta(SecretOwner::User(user(VIEWER))), DISABLED, s("2026-11-23T10:20:30Z")).await;
    test.table.faults.forget();
    let users = [OWNER, VIEWER, 99].map(user).into();
    assert_eq!(test.store.enabled_users(&users).await.unwrap(), [user(OWNER)].into());
    assert_eq!(test.operations(), ["BatchGetItem"]);
}

/// Rows as an earlier version wrote them, without the attributes of the index.
async fn seed_as_before(test: &TestStore, mut row: Attributes) {
    row.remove("due");
    row.remove("dueShard");
    test.seed(row).await;
}

#[tokio::test]
async fn rows_of_an_earlier_version_are_listed_once_they_are_indexed() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    for (id, expires) in [(4, Some(later(10))), (5, Some(later(20))), (6, None)] {
        let (secret, sealed) = a_secret(&scope, id, &format!("SECRET_{id}"));
        seed_as_before(&test, secret_row(&Secret { expires, ..secret }).unwrap()).await;
        test.seed(sealed_row(&sealed)).await;
    }
    // A version that does not know the index wrote another expiry.
    test.set(Key::secret(scope.owner(), secret_id(5)), "due", n(1)).await;
    test.set(Key::secret(scope.owner(), secret_id(5)), "dueShard", s("EXPIRY#1")).await;
    // A recorded use can create a row with nothing else in it.
    test.set(Key::secret(scope.owner(), secret_id(7)), "lastUsed", s("2026-11-23T10:20:30Z")).await;
    let token = a_token(8, Some(later(30)));
    seed_as_before(&test, Key::token(token.id).row(token_fields(&token).unwrap())).await;
    test.seed(Key::token_of_user(token.user, token.id).with([("id", n(token.id))])).await;
    assert_eq!(test.store.expiring(later(0), later(60), 10).await.unwrap().keys, []);
    assert_eq!(test.store.index_secrets(scope.owner()).await.unwrap(), 2);
    assert_eq!(test.store.index_tokens(token.user).await.unwrap(), 1);
    let ids = [4, 5].map(|id| ExpiringKey::Secret(scope.owner(), secret_id(id)));
    assert_eq!(listed(&test).await, [ids[0], ids[1], ExpiringKey::Token(token.id)]);
    let before = test.table.rows().await;
    assert_eq!(test.store.index_secrets(scope.owner()).await.unwrap(), 0);
    assert_eq!(test.store.index_tokens(token.user).await.unwrap(), 0);
    assert_eq!(test.table.rows().await, before);
    assert_eq!(test.audits().await, 0);
}

#[tokio::test]
async fn an_index_change_does_not_replace_that_of_a_concurrent_write_or_revive_a_row() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    let (secret, _) = a_secret(&scope, 4, "SECRET");
    seed_as_before(&test, secret_row(&secret).unwrap()).await;
    let stale = test.row(Key::secret(scope.owner(), secret.id)).await.unwrap();
    test.seed(secret_row(&Secret { expires: Some(later(7)), ..secret.clone() }).unwrap()).await;
    test.store.index_rows(vec![stale.clone()]).await.unwrap();
    let row = test.row(Key::secret(scope.owner(), secret.id)).await.unwrap();
    assert!(holds(&row, "due", &n(later(7).as_millisecond())));
    test.remove(Key::secret(scope.owner(), secret.id)).await;
    test.store.index_rows(vec![stale]).await.unwrap();
    assert_eq!(test.keys_beginning("SECRET#").await, 0);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_no_other_from_being_indexed() {
    let test = TestStore::start().await;
    let scope = test.scope(Permission::WriteSecrets).await;
    for id in [4, 5] {
        let (secret, _) = a_secret(&scope, id, &format!("SECRET_{id}"));
        seed_as_before(&test, secret_row(&secret).unwrap()).await;
    }
    test.set(Key::secret(scope.owner(), secret_id(4)), "expires", AttributeValue::Bool(true)).await;
    assert_eq!(test.store.index_secrets(scope.owner()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_throttled_search_is_contended() {
    let test = TestStore::start().await;
    for _ in 0..12 {
        test.table.faults.fail_next(Fault::Throttle);
    }
    let error = test.store.expiring(later(0), later(1), 1).await.unwrap_err();
    assert!(matches!(error, Error::Contended), "{error}");
}
