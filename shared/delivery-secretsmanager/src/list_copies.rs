//! `ListSecrets`, filtered by the deployment's tag.

use aws_failures::unavailable;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretListEntry};
use domain::Result;
use domain::copies::CopyTags;
use domain::ports::FoundCopy;

use crate::decode;

/// The maximum page size of `ListSecrets`.
const PAGE: i32 = 100;

/// The filters only shorten the list: they match prefixes, and key and value can match different
/// tags. The comparison in `ours` decides. Lists lag by minutes and omit secrets that are scheduled
/// for deletion.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
pub(crate) async fn list(client: &Client, deployment: &str) -> Result<Vec<FoundCopy>> {
    let mut pages = client
        .list_secrets()
        .filters(filter(FilterNameStringType::TagKey, CopyTags::DEPLOYMENT))
        .filters(filter(FilterNameStringType::TagValue, deployment))
        .include_planned_deletion(false)
        .max_results(PAGE)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| unavailable("secretsmanager ListSecrets", &error))?;
        found.extend(page.secret_list().iter().filter_map(|secret| ours(secret, deployment)));
    }
    Ok(found)
}

fn filter(key: FilterNameStringType, value: &str) -> Filter {
    Filter::builder().key(key).values(value).build()
}

fn ours(secret: &SecretListEntry, deployment: &str) -> Option<FoundCopy> {
    let tags = decode(secret.tags());
    if tags.deployment.as_deref() != Some(deployment) {
        return None;
    }
    let name = secret.name()?.to_owned();
    Some(FoundCopy { name, scope: tags.scope, run: tags.run, not_after: tags.not_after })
}
