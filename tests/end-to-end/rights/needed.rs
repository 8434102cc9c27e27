//! Every action and every kind of row that a function's role allows is needed: without it, the
//! function's exercise fails. [`UNTESTED`] lists the exceptions that no emulator shows.

use std::collections::BTreeSet;

use end_to_end::rights::exercises::Exercises;
use end_to_end::rights::harness::{Harness, World};
use end_to_end::rights::statements::{Grant, Rights};
use end_to_end::rights::{Outcome, ensure, functions};
use serde_json::json;
use support::oidc::{Issuer, Key};

use crate::requirements::UNTESTED;

#[tokio::test]
async fn each_function_needs_each_of_its_rights() -> Outcome {
    let key = Key::make("1", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let issuers = json!([issuer.entry(&json!({}))]).to_string();
    // The exercises launch more runs than a user has by default.
    let parameters = [
        ("OidcIssuers", issuers.as_str()),
        ("SweepSchedule", "rate(7 days)"),
        ("LiveRunsPerUser", "10000"),
        ("LiveRunsPerWorkspace", "10000"),
        ("LiveCopiesPerUser", "10000"),
    ];
    let harness = Harness::start(&parameters).await?;
    let world = World::make(&harness, "needed").await?;
    let exercises = Exercises::new(&harness, (&issuer, &key), &world);
    let mut surprises = Vec::new();
    for function in functions() {
        exercises
            .exercise(function)
            .await
            .map_err(|error| format!("{function} with all of its rights: {error}"))?;
        let rights = Rights::of(&harness, function).await?;
        let expected: BTreeSet<Grant> = untested(function);
        let mut found = BTreeSet::new();
        for grant in rights.grants() {
            rights.without(&grant).await?;
            if exercises.exercise(function).await.is_ok() {
                found.insert(grant);
            }
        }
        rights.restore().await?;
        exercises
            .exercise(function)
            .await
            .map_err(|error| format!("{function} with restored rights: {error}"))?;
        surprises.extend(
            found.difference(&expected).map(|it| format!("{function} works without {} {}", it.sid, it.what)),
        );
        surprises.extend(
            expected
                .difference(&found)
                .map(|it| format!("{function} fails without {} {}, which UNTESTED lists", it.sid, it.what)),
        );
    }
    harness.stop().await?;
    ensure(surprises.is_empty(), || surprises.join("\n"))
}

fn untested(function: &str) -> BTreeSet<Grant> {
    let of_function =
        UNTESTED.iter().filter(|it| it.functions.is_empty() || it.functions.contains(&function));
    let grants = of_function.flat_map(|it| {
        it.actions.iter().map(|what| Grant { sid: it.sid.to_owned(), what: (*what).to_owned() })
    });
    grants.collect()
}
