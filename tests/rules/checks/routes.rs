//! The template's routes must match the table of operations. Two routes serve the console's files,
//! which are not part of the API.

use std::collections::BTreeSet;

use http_api::Operation;
use http_api::operation::{Credential, Function};

use crate::{read, root};

/// A route: its resource, method and path, its function, and whether the authorizer runs first.
type Route = (String, String, String, bool);

/// The routes of the console: public, because its files contain no data.
const CONSOLE: [(&str, &str); 2] =
    [("ConsolePageRoute", "GET /console"), ("ConsoleFileRoute", "GET /console/{proxy+}")];

#[test]
fn the_template_serves_exactly_the_operations_of_the_api() {
    let unknown = ("UnknownOperationRoute", "$default", "Identity");
    let unknown = (unknown.0.to_owned(), unknown.1.to_owned(), unknown.2.to_owned(), true);
    let expected: BTreeSet<Route> = Operation::ALL
        .iter()
        .map(|operation| {
            let authorized = operation.credential() == Credential::User;
            (
                format!("{}Route", operation.id()),
                operation.route_key().to_owned(),
                integration(operation.function()).to_owned(),
                authorized,
            )
        })
        .chain([unknown])
        .chain(CONSOLE.map(|(resource, route)| (resource.into(), route.into(), "Console".into(), false)))
        .collect();
    assert_eq!(deployed(), expected);
}

/// The routes of `infra/template.yaml`, which has each one on a separate line.
fn deployed() -> BTreeSet<Route> {
    let template = read(&root().join("infra/template.yaml"));
    let routes = template.lines().filter(|line| line.contains("Type: AWS::ApiGatewayV2::Route,"));
    routes
        .map(|line| {
            let between = |before: &str, after: &str| {
                let rest = line.split_once(before).map(|(_, rest)| rest);
                rest.and_then(|rest| rest.split_once(after)).map(|(found, _)| found.to_owned())
            };
            let resource = line.trim_start().split(':').next().unwrap_or_default().to_owned();
            let authorized = line.contains("AuthorizationType: CUSTOM, AuthorizerId: !Ref TokenAuthorizer");
            assert!(authorized || line.contains("AuthorizationType: NONE"), "{resource}");
            let route = between("RouteKey: \"", "\"").expect("a route key");
            let target = between("integrations/${", "Integration}").expect("an integration");
            (resource, route, target, authorized)
        })
        .collect()
}

/// A function's name in the template.
fn integration(function: Function) -> &'static str {
    match function {
        Function::ReadSecrets => "ReadSecrets",
        Function::WriteSecrets => "WriteSecrets",
        Function::LaunchRun => "LaunchRun",
        Function::ClaimRun => "ClaimRun",
        Function::ReportRun => "ReportRun",
        Function::Identity => "Identity",
    }
}
