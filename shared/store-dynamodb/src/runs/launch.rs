//! Recording the intent to launch a run.

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::idempotency::{Idempotency, IdempotencyRecord, IdempotentResult};
use domain::ids::RunId;
use domain::owner::Scope;
use domain::ports::{Created, LaunchRuns};
use domain::run::Run;
use domain::{Error, Result, Timestamp};

use super::row::run_row;
use crate::Store;
use crate::keys::Key;
use crate::rows::FromRow;
use crate::transaction::ExistingItem;

#[derive(PartialEq)]
enum Part {
    Token,
    Run,
    Idempotency,
}

#[async_trait(?Send)]
impl LaunchRuns for Store {
    async fn find_idempotency_record(
        &self,
        idempotency: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>> {
        let record: Option<IdempotencyRecord> = self.find(Key::launch_idempotency(idempotency)).await?;
        Ok(record.filter(|record| record.expires > now))
    }

    async fn begin_run(
        &self,
        scope: &Scope,
        run: &Run,
        idempotency: Option<&Idempotency>,
        replaces: Option<&RunId>,
        audit: &AuditRecord,
    ) -> Result<Created> {
        let mut transaction = self.transaction();
        transaction.still_member(scope);
        if let Some(token) = run.launched_with {
            transaction.still_has_token(Part::Token, run.user, token);
        }
        transaction.put_new(Part::Run, run_row(self, run)?);
        if let Some(idempotency) = idempotency {
            let record = idempotency.record(IdempotentResult::Run(run.id.clone()), audit.at);
            transaction.record(Part::Idempotency, idempotency, &record, audit.at, replaces);
        }
        transaction.audited(audit)?;
        match transaction.send().await? {
            Ok(()) => Ok(Created::Created),
            Err(refusal) if refusal.of(&Part::Token).is_some() => Err(Error::token_revoked()),
            Err(refusal) => match refusal.of(&Part::Idempotency) {
                Some(ExistingItem::Row(row)) => {
                    Ok(Created::Replayed(IdempotencyRecord::from_row(row.clone())?))
                }
                // The run's id is taken, or another writer interfered: the next attempt uses
                // another id.
                _ => Err(Error::Contended),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use domain::ids::TokenId;
    use domain::owner::SecretOwner;
    use domain::ports::ReadRuns;
    use domain::role::Permission;
    use futures_util::future::join_all;
    use support::Fault;

    use super::*;
    use crate::rows::{n, s};
    use crate::testing::{OWNER, TestStore, a_run, idempotency, later, run_audit, run_id, user};

    async fn begin(
        test: &TestStore,
        run: &Run,
        idempotency: Option<&Idempotency>,
        replaces: Option<&RunId>,
    ) -> Result<Created> {
        let audit = run_audit(run, AuditAction::RunLaunched);
        let audit = AuditRecord { at: run.created, ..audit };
        test.begin_run(run, idempotency, replaces, &audit).await
    }

    fn result(created: Created) -> IdempotentResult {
        match created {
            Created::Replayed(record) => record.result,
            Created::Created => panic!("the run was created"),
        }
    }

    #[tokio::test]
    async fn an_intent_is_recorded_in_one_call_and_read_back_exactly() {
        let test = TestStore::start().await;
        let run = a_run("a");
        let created = begin(&test, &run, Some(&idempotency("a")), None).await.unwrap();
        assert_eq!((created, test.operations()), (Created::Created, vec!["TransactWriteItems".to_owned()]));
        assert_eq!(test.store.run(&run.id).await.unwrap(), Some(run));
        assert_eq!(test.calls()[1].body["ConsistentRead"], true);
        assert_eq!((test.audits().await, test.store.run(&run_id("b")).await.unwrap()), (1, None));
        let of_user = Run { workspace: None, ..a_run("o") };
        begin(&test, &of_user, None, None).await.unwrap();
        assert_eq!(test.store.run(&of_user.id).await.unwrap(), Some(of_user));
    }

    #[tokio::test]
    async fn a_disabled_or_removed_user_begins_no_run() {
        let member = Key::member(crate::testing::workspace(), user(OWNER));
        let meta = Key::meta(SecretOwner::User(user(OWNER)));
        for (workspace, key) in [(true, member), (false, meta)] {
            let test = TestStore::start().await;
            let mut run = a_run("a");
            if !workspace {
                run.workspace = None;
            }
            let scope = test.scope_of(OWNER, run.workspace, Permission::Launch).await.unwrap();
            let audit = run_audit(&run, AuditAction::RunLaunched);
            test.set(key.clone(), "disabled", s("2026-11-23T10:20:30Z")).await;
            for disabled in [true, false] {
                if !disabled {
                    test.remove(key.clone()).await;
                }
                let error = test.store.begin_run(&scope, &run, None, None, &audit).await.unwrap_err();
                assert!(matches!(error, Error::NotFound), "{workspace} {disabled}: {error}");
            }
            assert_eq!((test.store.run(&run.id).await.unwrap(), test.audits().await), (None, 0));
        }
    }

    #[tokio::test]
    async fn a_revoked_token_begins_no_run() {
        let test = TestStore::start().await;
        let token = TokenId::new(5).unwrap();
        let run = Run { launched_with: Some(token), ..a_run("a") };
        let error = begin(&test, &run, None, None).await.unwrap_err();
        assert_eq!(error.code(), "token-limited", "{error}");
        assert_eq!((test.store.run(&run.id).await.unwrap(), test.audits().await), (None, 0));
        test.seed(Key::token_of_user(run.user, token).with([("id", n(token))])).await;
        assert_eq!(begin(&test, &run, None, None).await.unwrap(), Created::Created);
    }

    #[tokio::test]
    async fn a_record_is_found_until_it_expires_even_if_its_row_remains() {
        let test = TestStore::start().await;
        let key = idempotency("a");
        assert_eq!(test.store.find_idempotency_record(&key, later(0)).await.unwrap(), None);
        begin(&test, &a_run("a"), Some(&key), None).await.unwrap();
        let record = test.store.find_idempotency_record(&key, later(86_399)).await.unwrap().unwrap();
        assert_eq!(record.result, IdempotentResult::Run(run_id("a")));
        assert!(key.check(&record).is_ok() && idempotency("b").check(&record).is_err());
        assert_eq!(test.store.find_idempotency_record(&key, later(86_400)).await.unwrap(), None);
        assert_eq!(test.store.find_idempotency_record(&key, record.expires).await.unwrap(), None);
        assert_eq!(test.keys_beginning("LAUNCH#").await, 1);
        let later = Run { created: later(86_400), ..a_run("b") };
        assert_eq!(begin(&test, &later, Some(&key), None).await.unwrap(), Created::Created);
    }

    #[tokio::test]
    async fn a_known_key_replays_the_first_run_and_writes_nothing() {
        let test = TestStore::start().await;
        let key = idempotency("a");
        begin(&test, &a_run("a"), Some(&key), None).await.unwrap();
        let before = test.table.rows().await;
        for again in ["b", "a"] {
            let created = begin(&test, &a_run(again), Some(&key), None).await.unwrap();
            assert_eq!(result(created), IdempotentResult::Run(run_id("a")));
        }
        assert_eq!(test.table.rows().await, before);
    }

    #[tokio::test]
    async fn a_new_attempt_replaces_the_run_that_failed_and_no_other() {
        let test = TestStore::start().await;
        let key = idempotency("a");
        begin(&test, &a_run("a"), Some(&key), None).await.unwrap();
        let failed = run_id("a");
        assert_eq!(begin(&test, &a_run("b"), Some(&key), Some(&failed)).await.unwrap(), Created::Created);
        let created = begin(&test, &a_run("c"), Some(&key), Some(&failed)).await.unwrap();
        assert_eq!(result(created), IdempotentResult::Run(run_id("b")));
    }

    #[tokio::test]
    async fn one_of_several_parallel_launches_with_the_same_key_begins() {
        let test = TestStore::start().await;
        let (test, key) = (&test, &idempotency("a"));
        let begun =
            join_all((0..8).map(async |id| begin(test, &a_run(&format!("r{id}")), Some(key), None).await))
                .await;
        let created = begun.iter().filter(|begun| matches!(begun, Ok(Created::Created))).count();
        let replayed = begun.iter().filter(|begun| matches!(begun, Ok(Created::Replayed(_)))).count();
        assert_eq!((created, replayed, test.keys_beginning("RUN#").await), (1, 7, 1));
    }

    #[tokio::test]
    async fn an_id_that_is_taken_is_contended_and_the_run_stays_as_it_was() {
        let test = TestStore::start().await;
        begin(&test, &a_run("a"), None, None).await.unwrap();
        let other = Run { workspace: None, ..a_run("a") };
        let error = begin(&test, &other, Some(&idempotency("a")), None).await.unwrap_err();
        assert!(matches!(error, Error::Contended), "{error}");
        assert_eq!(test.store.run(&other.id).await.unwrap(), Some(a_run("a")));
        assert_eq!(test.keys_beginning("LAUNCH#").await, 0);
    }

    #[tokio::test]
    async fn a_run_does_not_begin_without_its_audit_record() {
        let test = TestStore::start().await;
        let audit = run_audit(&a_run("a"), AuditAction::RunLaunched);
        test.begin_run(&a_run("a"), None, None, &audit).await.unwrap();
        let error = test.begin_run(&a_run("b"), None, None, &audit).await.unwrap_err();
        assert!(matches!(error, Error::Contended), "{error}");
        assert_eq!(test.store.run(&run_id("b")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_lost_answer_is_retried_and_has_one_effect() {
        let test = TestStore::start().await;
        test.table.faults.fail_next(Fault::LostReply);
        let created = begin(&test, &a_run("a"), Some(&idempotency("a")), None).await.unwrap();
        assert_eq!((created, test.operations().len(), test.audits().await), (Created::Created, 2, 1));
    }
}
