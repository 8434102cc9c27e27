//! The audit trail: its rows, which every transaction writes, and the query that reads them.

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::owner::{Scope, SecretOwner};
use domain::ports::ReadAudit;
use domain::{Error, Result};

use crate::Store;
use crate::keys::{Key, audit_of};
use crate::read::{at_most, page, readable};
use crate::rows::{Attributes, Row, fields, n, s};

#[async_trait(?Send)]
impl ReadAudit for Store {
    async fn audit(&self, scope: &Scope, month: &str, limit: u32) -> Result<Vec<AuditRecord>> {
        if !is_month(month) {
            return Err(Error::Invalid("month must have the form YYYY-MM, for example 2026-11.".into()));
        }
        let newest_first =
            self.partition(audit_of(scope.owner(), month)).scan_index_forward(false).limit(page(limit));
        let rows = at_most(limit, newest_first, "dynamodb Query").await?;
        // infra/check-audit reports records that cannot be read.
        Ok(readable(rows, |row| audit_from(scope.owner(), row)))
    }
}

fn is_month(text: &str) -> bool {
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once('-').is_some_and(|(year, month)| digits(year, 4) && digits(month, 2))
}

pub(crate) fn audit_row(record: &AuditRecord, ttl: i64) -> Result<Attributes> {
    let mut row = fields(record)?;
    row.remove("scope");
    row.insert("ttl".into(), Some(n(ttl)));
    Ok(Key::audit(record).row(row))
}

/// The scope is stored only in the key.
fn audit_from(scope: SecretOwner, mut row: Row) -> Result<AuditRecord> {
    row.0.insert("scope".into(), s(scope));
    row.read()
}

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use domain::role::Permission;

    use super::*;
    use crate::rows::holds;
    use crate::testing::{TestStore, a_run, a_secret, an_audit, later, now, user};

    /// A record with every optional field.
    fn full(scope: &Scope) -> AuditRecord {
        let secret = a_secret(scope, 7, "NCBI_API_KEY").0;
        let mut record = an_audit(scope.owner(), AuditAction::RunLaunched, &[&secret]);
        record.subjects[0].overrides = Some(secret.id);
        record.run = Some(a_run("a").id);
        record.person = Some(user(2));
        record.detail = Some("launch".into());
        record
    }

    async fn write(test: &TestStore, id: &str, audit: &AuditRecord) -> Result<()> {
        test.begin_run(&a_run(id), None, None, audit).await.map(|_| ())
    }

    #[tokio::test]
    async fn a_trail_is_read_newest_first_by_month_and_scope() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::ReadAudit).await;
        let first = full(&scope);
        let second = AuditRecord { at: later(1), ..an_audit(scope.owner(), AuditAction::RunEnded, &[]) };
        let next_month =
            AuditRecord { at: later(10 * 86_400), ..an_audit(scope.owner(), AuditAction::RunEnded, &[]) };
        let user_scope = test.user_scope(Permission::ReadAudit).await;
        let elsewhere = an_audit(user_scope.owner(), AuditAction::RunEnded, &[]);
        for (id, record) in [("a", &first), ("b", &second), ("c", &next_month), ("d", &elsewhere)] {
            write(&test, id, record).await.unwrap();
        }
        test.table.faults.forget();
        assert_eq!(test.store.audit(&scope, "2026-11", 10).await.unwrap(), [second.clone(), first]);
        assert_eq!(test.operations(), ["Query"]);
        assert_eq!(test.calls()[0].body["ConsistentRead"], true);
        assert_eq!(test.store.audit(&scope, "2026-11", 1).await.unwrap(), [second]);
        assert_eq!(test.store.audit(&scope, "2026-12", 10).await.unwrap(), [next_month]);
        assert_eq!(test.store.audit(&scope, "2026-10", 10).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_does_not_hide_the_others() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::ReadAudit).await;
        let (first, second) = (full(&scope), AuditRecord { at: later(1), id: "8".into(), ..full(&scope) });
        write(&test, "a", &first).await.unwrap();
        write(&test, "b", &second).await.unwrap();
        test.set(Key::audit(&first), "person", s("somebody")).await;
        assert_eq!(test.store.audit(&scope, "2026-11", 10).await.unwrap(), [second]);
    }

    #[tokio::test]
    async fn a_malformed_month_is_refused_without_a_call() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::ReadAudit).await;
        for month in ["", "2026", "2026-1", "26-11", "2026-11-01", "2026-ab", "2026-１1", "2026-11#"] {
            let error = test.store.audit(&scope, month, 10).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{month}");
        }
        assert!(test.operations().is_empty());
    }

    #[tokio::test]
    async fn a_record_expires_after_the_retention() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::ReadAudit).await;
        let record = full(&scope);
        write(&test, "a", &record).await.unwrap();
        let row = test.row(Key::audit(&record)).await.unwrap();
        assert!(holds(&row, "ttl", &n(now().as_second() + 400 * 86_400)));
    }
}
