//! The three kinds of read: one row, rows by key, and paginated queries.

use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::{Error, Result};

use crate::Store;
use crate::expression_attributes::ExpressionAttributes;
use crate::failure::{failed, unbuildable};
use crate::keys::Key;
use crate::rows::{FromRow, Row, s};

impl Store {
    /// Warms up the connection, so that the first request does not pay for it: reads one row that
    /// does not exist, for functions that may read memberships. Ignores the outcome: a table that
    /// does not answer now may answer the first request.
    pub async fn warm(&self) {
        let _ = self.get(Key::new("MEMBERS#0", "MEMBER#0")).await;
    }

    /// Like [`warm`](Self::warm), for the function that may read tokens but not memberships.
    pub async fn warm_for_tokens(&self) {
        let _ = self.get(Key::new("TOKEN#0", "TOKEN")).await;
    }

    /// Like [`warm`](Self::warm), for functions that may read runs but not memberships.
    pub async fn warm_for_runs(&self) {
        let _ = self.get(Key::new("RUN#0", "RUN")).await;
    }

    pub(crate) async fn get(&self, key: Key) -> Result<Option<Row>> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| failed("dynamodb GetItem", &error))?;
        Ok(answer.item.map(Row))
    }

    /// The item with this key.
    pub(crate) async fn find<T: FromRow>(&self, key: Key) -> Result<Option<T>> {
        self.get(key).await?.map(T::from_row).transpose()
    }

    /// The existing items with these keys, in any order. The keys must be distinct.
    pub(crate) async fn find_many<T: FromRow>(&self, keys: &[Key]) -> Result<Vec<T>> {
        self.get_many(keys).await?.into_iter().map(T::from_row).collect()
    }

    /// The existing rows with these keys, in any order. The keys must be distinct.
    pub(crate) async fn get_many(&self, keys: &[Key]) -> Result<Vec<Row>> {
        self.get_attributes(keys, None).await
    }

    /// Like [`get_many`](Self::get_many), with only the attributes of a projection expression.
    pub(crate) async fn get_attributes(&self, keys: &[Key], projection: Option<&str>) -> Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(BATCH) {
            self.get_batch(chunk, projection, &mut rows).await?;
        }
        Ok(rows)
    }

    /// Reads one batch. `BatchGetItem` has no paginator, so this retries unprocessed keys.
    async fn get_batch(&self, keys: &[Key], projection: Option<&str>, rows: &mut Vec<Row>) -> Result<()> {
        let mut pending: Vec<_> = keys.iter().cloned().map(Key::attributes).collect();
        let mut delays = DELAYS.into_iter();
        loop {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(pending))
                .consistent_read(true)
                .set_projection_expression(projection.map(str::to_owned))
                .build()
                .map_err(unbuildable)?;
            let mut answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted)
                .send()
                .await
                .map_err(|error| failed("dynamodb BatchGetItem", &error))?;
            let found = answer.responses.as_mut().and_then(|by_table| by_table.remove(&self.table));
            rows.extend(found.unwrap_or_default().into_iter().map(Row));
            let unprocessed =
                answer.unprocessed_keys.as_mut().and_then(|by_table| by_table.remove(&self.table));
            match unprocessed {
                Some(rest) if !rest.keys.is_empty() => pending = rest.keys,
                _ => return Ok(()),
            }
            // Only before a retry: even a sleep of zero lasts until the timer's next millisecond.
            tokio::time::sleep(delays.next().ok_or(Error::Contended)?).await;
        }
    }

    /// A consistent query for the rows of a partition.
    pub(crate) fn partition(&self, pk: impl Into<String>) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(pk))
    }

    /// A consistent query for the rows of a partition whose sort keys have this prefix.
    pub(crate) fn with_prefix(&self, pk: impl Into<String>, prefix: impl Into<String>) -> QueryFluentBuilder {
        self.partition(pk)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":prefix", s(prefix))
    }
}

/// The rows that `read` can read. It logs a row that it cannot read, and the row is skipped.
pub(crate) fn readable<T>(rows: Vec<Row>, read: impl Fn(Row) -> Result<T>) -> Vec<T> {
    rows.into_iter().filter_map(|row| read(row).ok()).collect()
}

/// All rows of a query.
pub(crate) async fn all(query: QueryFluentBuilder) -> Result<Vec<Row>> {
    at_most(u32::MAX, query, "dynamodb Query").await
}

impl Store {
    /// The first rows of an index that meet a condition on its keys and, optionally, one on other
    /// attributes. Pages after the limit are not requested.
    pub(crate) async fn first_in_index(
        &self,
        index: &str,
        operation: &'static str,
        keys: String,
        filter: Option<String>,
        attributes: ExpressionAttributes,
        limit: u32,
    ) -> Result<Vec<Row>> {
        let (names, values) = attributes.parts();
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .key_condition_expression(keys)
            .set_filter_expression(filter)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .limit(page(limit));
        at_most(limit, query, operation).await
    }
}

/// The first rows of a query. Pages after the limit are not requested.
pub(crate) async fn at_most(
    limit: u32,
    query: QueryFluentBuilder,
    operation: &'static str,
) -> Result<Vec<Row>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // By default, a repeated token ends the list without an error, and the remaining rows would be
    // missing.
    let mut pages = query.into_paginator().stop_on_duplicate_token(false).send();
    let mut rows = Vec::new();
    while rows.len() < limit
        && let Some(page) = pages.try_next().await.map_err(|error| failed(operation, &error))?
    {
        rows.extend(page.items.unwrap_or_default().into_iter().map(Row));
    }
    rows.truncate(limit);
    Ok(rows)
}

/// Converts a page size to the SDK's type.
pub(crate) fn page(rows: u32) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}

/// The maximum number of keys in a `BatchGetItem`:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>.
const BATCH: usize = 100;

/// The delay before each retry of a batch. AWS recommends a growing delay, and the SDK does not
/// retry unprocessed keys.
const DELAYS: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

#[cfg(test)]
mod tests {
    use domain::owner::SecretOwner;
    use support::Fault;

    use crate::testing::{OWNER, TestStore, user};

    use super::*;

    #[tokio::test]
    async fn warm_up_is_one_read_and_ignores_a_failure() {
        let test = TestStore::start().await;
        test.store.warm().await;
        test.store.warm_for_tokens().await;
        test.store.warm_for_runs().await;
        assert_eq!(test.operations(), ["GetItem"; 3]);
        for _ in 0..3 {
            test.table.faults.fail_next(Fault::Unreachable);
        }
        test.store.warm().await;
    }

    #[tokio::test]
    async fn pages_are_requested_until_the_limit_or_the_last_page() {
        let test = TestStore::start().await;
        for number in 1..=5 {
            test.seed(Key::new("P", format!("ROW#{number}")).attributes()).await;
        }
        test.seed(Key::new("P", "OTHER").attributes()).await;
        let query = || test.store.with_prefix("P", "ROW#").limit(2);
        for (limit, rows, calls) in [(0, 0, 0), (1, 1, 1), (2, 2, 1), (3, 3, 2), (100, 5, 3)] {
            test.table.faults.forget();
            let found = at_most(limit, query(), "dynamodb Query").await.unwrap();
            assert_eq!((found.len(), test.operations().len()), (rows, calls), "at most {limit}");
        }
        let newest_first = all(query().scan_index_forward(false)).await.unwrap();
        let keys: Vec<i64> = newest_first.iter().map(|row| row.id().unwrap()).collect();
        assert_eq!(keys, [5, 4, 3, 2, 1]);
        assert!(test.calls().iter().all(|call| call.body["ConsistentRead"] == true));
    }

    #[tokio::test]
    async fn a_persistently_throttled_read_is_contended_and_a_failed_one_is_unavailable() {
        let test = TestStore::start().await;
        let key = || Key::meta(SecretOwner::User(user(OWNER)));
        for (fault, contended) in [(Fault::Throttle, true), (Fault::Internal, false)] {
            let fail = || (0..3).for_each(|_| test.table.faults.fail_next(fault.clone()));
            fail();
            let get = test.store.get(key()).await.unwrap_err();
            fail();
            let many = test.store.get_many(&[key()]).await.unwrap_err();
            fail();
            let queried = all(test.store.partition("WS#42")).await.unwrap_err();
            for error in [get, many, queried] {
                assert_eq!(matches!(error, Error::Contended), contended, "{error}");
                assert_eq!(matches!(error, Error::Unavailable { .. }), !contended, "{error}");
            }
        }
    }
}
