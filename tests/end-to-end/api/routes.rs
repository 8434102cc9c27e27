//! The deployed API matches the table of operations: each route, and the authorizer on exactly the
//! routes that take a user's credentials.

use std::collections::BTreeMap;

use end_to_end::Harness;
use http_api::Operation;
use http_api::operation::Credential;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        the_deployed_routes_match_the_operations_and_their_credentials,
        the_authorizer_reads_only_the_header_and_caches_for_at_most_a_minute,
        an_unknown_operation_gives_501_to_users_and_is_never_404,
    ]
}

async fn deployed(harness: &Harness, what: &str) -> Vec<Value> {
    let api = harness.stack.output("ApiId").expect("an API");
    let answer = harness.aws_rest("apigateway", &format!("/v2/apis/{api}/{what}")).await;
    assert!(answer["nextToken"].is_null(), "{what} have more than one page");
    answer["items"].as_array().expect("items").clone()
}

async fn the_deployed_routes_match_the_operations_and_their_credentials() {
    let harness = harness().await;
    let authorizers = deployed(&harness, "authorizers").await;
    let routes: BTreeMap<_, _> = deployed(&harness, "routes")
        .await
        .into_iter()
        .map(|route| {
            let authorizer_of_route = match route["authorizationType"].as_str() {
                Some("CUSTOM") => route["authorizerId"].as_str().expect("an authorizer").to_owned(),
                other => other.unwrap_or_default().to_owned(),
            };
            (route["routeKey"].as_str().expect("a route").to_owned(), authorizer_of_route)
        })
        .collect();
    let authorizer = authorizers[0]["authorizerId"].as_str().expect("an id");
    let expected: BTreeMap<_, _> = Operation::ALL
        .iter()
        .map(|operation| {
            let authorizer_of_route = match operation.credential() {
                Credential::User => authorizer,
                Credential::None | Credential::Run | Credential::Claim => "NONE",
            };
            (operation.route_key().to_owned(), authorizer_of_route.to_owned())
        })
        .chain([("$default".to_owned(), authorizer.to_owned())])
        .chain(["GET /console", "GET /console/{proxy+}"].map(|route| (route.to_owned(), "NONE".to_owned())))
        .collect();
    assert_eq!(authorizers.len(), 1);
    assert_eq!(routes, expected);
}

async fn the_authorizer_reads_only_the_header_and_caches_for_at_most_a_minute() {
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

/// Clients take 404 for an object that no longer exists: Terraform reports a workspace as
/// destroyed.
async fn an_unknown_operation_gives_501_to_users_and_is_never_404() {
    let world = end_to_end::World::make(harness().await).await;
    let org = world.org;
    for (method, path) in [
        ("GET", "/".to_owned()),
        ("GET", "/pipeline-secrets/".to_owned()),
        ("PATCH", "/pipeline-secrets".to_owned()),
        ("DELETE", "/pipeline-secrets".to_owned()),
        ("PUT", "/pipeline-secrets/import".to_owned()),
        ("DELETE", "/pipeline-secrets/validate".to_owned()),
        ("POST", "/apply".to_owned()),
        ("GET", "/trace/create".to_owned()),
        ("GET", "/_local/status".to_owned()),
        ("GET", world.inside("/pipelines")),
        ("POST", world.inside("/compute-envs/1234567890123456789012/primary")),
        ("POST", world.inside("/credentials/1234567890123456789012/keys")),
        ("GET", "/orgs/validate".to_owned()),
        ("PUT", format!("/orgs/{org}")),
        ("DELETE", format!("/orgs/{org}")),
        ("GET", format!("/orgs/{org}/teams")),
        ("GET", format!("/orgs/{org}/collaborators")),
        ("PUT", format!("/orgs/{org}/members/add")),
        ("DELETE", format!("/orgs/{org}/members/leave")),
        ("DELETE", format!("/orgs/{org}/members/{}", world.person("owner").id)),
        ("GET", format!("/orgs/{org}/workspaces/validate?name=x")),
        ("POST", format!("/orgs/{org}/workspaces")),
        ("PUT", world.below("")),
        ("DELETE", world.below("/participants/add")),
    ] {
        let request = || end_to_end::ApiRequest::new(method, &path);
        let message = world.caller("owner").send(request()).await.problem(501);
        assert!(message.contains("does not have this operation"), "{method} {path}: {message}");
        let answer = end_to_end::Caller::with_authorization(&world.harness, None).send(request()).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
    let _ = world.caller("owner").get(world.below("")).await.json();
}
