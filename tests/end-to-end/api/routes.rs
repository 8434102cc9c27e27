//! What is deployed is what the table of operations says: each route, and the authorizer on exactly those that take a
//! user's credential.

use std::collections::BTreeMap;

use end_to_end::Harness;
use http_api::Operation;
use http_api::operation::Credential;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        the_deployed_routes_are_the_operations_each_behind_what_it_takes,
        the_authorizer_decides_by_the_header_alone_and_is_believed_for_a_minute_at_most,
        what_has_no_route_is_not_found,
    ]
}

async fn deployed(harness: &Harness, what: &str) -> Vec<Value> {
    let api = harness.stack.output("ApiId").expect("an API");
    let answer = harness.aws_rest("apigateway", &format!("/v2/apis/{api}/{what}")).await;
    assert!(answer["nextToken"].is_null(), "there is more than a page of {what}");
    answer["items"].as_array().expect("items").clone()
}

async fn the_deployed_routes_are_the_operations_each_behind_what_it_takes() {
    let harness = harness().await;
    let authorizers = deployed(&harness, "authorizers").await;
    let routes: BTreeMap<_, _> = deployed(&harness, "routes")
        .await
        .into_iter()
        .map(|route| {
            let behind = match route["authorizationType"].as_str() {
                Some("CUSTOM") => route["authorizerId"].as_str().expect("an authorizer").to_owned(),
                other => other.unwrap_or_default().to_owned(),
            };
            (route["routeKey"].as_str().expect("a route").to_owned(), behind)
        })
        .collect();
    let authorizer = authorizers[0]["authorizerId"].as_str().expect("an id");
    let expected: BTreeMap<_, _> = Operation::ALL
        .iter()
        .map(|operation| {
            let behind = match operation.credential() {
                Credential::User => authorizer,
                Credential::None | Credential::Run | Credential::Claim => "NONE",
            };
            (operation.route_key().to_owned(), behind.to_owned())
        })
        .collect();
    assert_eq!(authorizers.len(), 1);
    assert_eq!(routes, expected);
}

async fn the_authorizer_decides_by_the_header_alone_and_is_believed_for_a_minute_at_most() {
    let harness = harness().await;
    let authorizer = &deployed(&harness, "authorizers").await[0];
    assert_eq!(authorizer["authorizerType"], "REQUEST");
    assert_eq!(authorizer["authorizerPayloadFormatVersion"], "2.0");
    assert_eq!(authorizer["enableSimpleResponses"], true);
    assert_eq!(authorizer["identitySource"], serde_json::json!(["$request.header.Authorization"]));
    let template = harness.template();
    let parameter = template.split("\n  AuthorizerCacheSeconds:").nth(1).expect("the parameter");
    let parameter = parameter.split("\n  ThrottleRate:").next().expect("its lines");
    assert!(parameter.contains("Default: 60") && parameter.contains("MaxValue: 60"), "{parameter}");
}

async fn what_has_no_route_is_not_found() {
    let world = end_to_end::World::make(harness().await).await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/pipeline-secrets/"),
        ("PATCH", "/pipeline-secrets"),
        ("DELETE", "/pipeline-secrets"),
        ("POST", "/apply"),
        ("GET", "/trace/create"),
        ("GET", "/_local/status"),
    ] {
        for caller in [world.caller("owner"), end_to_end::Caller::presenting(&world.harness, None)] {
            let answer = caller.ask(end_to_end::Ask::new(method, path)).await;
            assert_eq!(answer.problem(404), "Not Found", "{method} {path}");
        }
    }
}
