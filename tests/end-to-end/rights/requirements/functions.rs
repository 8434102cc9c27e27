//! Requirements on functions: role policies that no exercise covers, limits, failure destinations,
//! environment.

use std::collections::BTreeMap;

use domain::copies::CopyTags;
use domain::ids::RunPrefix;
use domain::issuer::Issuers;
use domain::settings::{LaunchWithoutWorkspace, Limits, Settings};
use end_to_end::rights::harness::folder;
use end_to_end::rights::statements::texts;
use end_to_end::rights::template::Template;
use http_api::Operation;
use runtime::config::{self, Bus, ComputeEnvironments, EnvelopeKey, Home, Launch, Section, Table};
use serde_json::json;

use super::{Requirement, logical_names, unless};

pub(super) const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        what: "each function may write only its own log group",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html",
        violations: |template| {
            unless(logical_names(), |name| {
                let group = json!({"Fn::GetAtt": [format!("{name}Logs"), "Arn"]});
                let own = |one: &&serde_json::Value| one["Sid"] == "Logs" && one["Resource"] == group;
                let logs = template
                    .rights(name)
                    .iter()
                    .filter(own)
                    .map(|one| texts(&one["Action"]))
                    .collect::<Vec<_>>();
                logs == [["logs:CreateLogStream", "logs:PutLogEvents"]]
                    && template.properties(name)["LoggingConfig"]["LogGroup"]["Ref"] == format!("{name}Logs")
            })
        },
    },
    Requirement {
        what: "creating a secret with tags requires TagResource under the same conditions",
        page: "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html",
        violations: |template| {
            let rights = template.rights("LaunchRun");
            let copies = rights.iter().find(|one| one["Sid"] == "Copies").cloned().unwrap_or_default();
            let conditions = &copies["Condition"];
            let holds = texts(&copies["Action"])
                == ["secretsmanager:CreateSecret", "secretsmanager:TagResource"]
                && conditions["StringEquals"]["aws:RequestTag/pipeline-secrets:deployment"]["Ref"]
                    == "AWS::StackName"
                && conditions["ForAllValues:StringEquals"]["aws:TagKeys"]
                    == json!([CopyTags::DEPLOYMENT, CopyTags::SCOPE, CopyTags::RUN, CopyTags::NOT_AFTER]);
            if holds { vec![] } else { vec!["LaunchRun".into()] }
        },
    },
    Requirement {
        what: "a function with an on-failure queue may send to it, after two retries",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html",
        violations: |template| {
            let queue = json!({"Fn::GetAtt": ["FailedCleanups", "Arn"]});
            let retries = template.properties("CleanupRunRetries");
            let sends = template
                .rights("CleanupRun")
                .iter()
                .any(|one| one["Action"] == json!(["sqs:SendMessage"]) && one["Resource"] == queue);
            let holds = sends
                && retries["DestinationConfig"]["OnFailure"]["Destination"] == queue
                && retries["MaximumRetryAttempts"] == 2
                && retries["MaximumEventAgeInSeconds"] == 3600;
            if holds { vec![] } else { vec!["CleanupRun".into()] }
        },
    },
    Requirement {
        what: "no role has a wildcard action, GetSecretValue, or a statement without a name",
        page: "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege",
        violations: |template| {
            unless(logical_names(), |name| {
                template.rights(name).iter().all(|one| {
                    let good =
                        |action: &String| !action.contains('*') && !action.ends_with(":GetSecretValue");
                    let denies = one["Sid"] == "OpensAsThisFunctionOnly" && one["Effect"] == "Deny";
                    one["Sid"].is_string()
                        && (one["Effect"] == "Allow" || denies)
                        && texts(&one["Action"]).iter().all(good)
                })
            })
        },
    },
    Requirement {
        what: "a role that opens values can do so only from its own function",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html",
        violations: |template| {
            unless(["LaunchRun", "ClaimRun"].map(str::to_owned), |name| {
                let condition =
                    json!({"ArnNotEquals": {"lambda:SourceFunctionArn": {"Fn::GetAtt": [name, "Arn"]}}});
                template.rights(name).iter().any(|one| {
                    one["Effect"] == "Deny"
                        && one["Action"] == json!(["kms:Decrypt"])
                        && one["Resource"] == json!({"Fn::GetAtt": ["EnvelopeKey", "Arn"]})
                        && one["Condition"] == condition
                })
            })
        },
    },
    Requirement {
        what: "a role's policy is well below IAM's limit of 10,240 characters",
        page: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html",
        violations: |template| {
            unless(logical_names(), |name| {
                let document = &template.properties(&format!("{name}Rights"))["PolicyDocument"];
                deployed_size(document) < 9_000
            })
        },
    },
    Requirement {
        what: "each statement on the table has one action, and each action one statement, unless it is limited to attributes",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html",
        violations: |template| {
            unless(logical_names(), |name| {
                let rights = template.rights(name);
                let of_table =
                    rights.iter().filter(|one| !one["Condition"]["ForAllValues:StringLike"].is_null());
                let of_table: Vec<_> =
                    of_table.filter(|one| !one["Resource"].to_string().contains("/index/")).collect();
                let mut actions = std::collections::BTreeSet::new();
                of_table.iter().all(|one| {
                    let action = texts(&one["Action"]);
                    let limited = one["Condition"]["ForAllValues:StringEquals"].is_object();
                    action.len() == 1 && (actions.insert(action[0].clone()) || limited)
                })
            })
        },
    },
    Requirement {
        what: "resource * is used only for actions without resource-level permissions",
        page: "https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html",
        violations: |template| {
            let known = ["batch:DescribeJobs", "secretsmanager:ListSecrets"];
            unless(logical_names(), |name| {
                let open = |one: &&serde_json::Value| one["Resource"] == "*";
                let rights = template.rights(name);
                rights
                    .iter()
                    .filter(open)
                    .flat_map(|one| texts(&one["Action"]))
                    .all(|it| known.contains(&it.as_str()))
            })
        },
    },
    Requirement {
        what: "every right on the table and its indexes is limited to rows",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html",
        violations: |template| {
            unless(logical_names(), |name| {
                template.rights(name).iter().all(|one| {
                    let table = texts(&one["Action"]).iter().any(|action| action.starts_with("dynamodb:"));
                    let rows = one["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"].is_array();
                    !table || rows
                })
            })
        },
    },
    Requirement {
        what: "the functions that assume roles are denied those of other names and accounts, because a trust policy in their own account would be enough",
        page: "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html",
        violations: |template| {
            let policy = template.properties("EnvironmentRolesOnly");
            let expected = json!([
                {
                    "Sid": "NoOtherRoles",
                    "Effect": "Deny",
                    "Action": "sts:AssumeRole",
                    "NotResource": {"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/pipeline-secrets-*"},
                },
                {
                    "Sid": "NoOtherAccounts",
                    "Effect": "Deny",
                    "Action": "sts:AssumeRole",
                    "Resource": "*",
                    "Condition": {"Fn::If": [
                        "HasComputeAccounts",
                        {"StringNotEquals": {"aws:ResourceAccount": {"Ref": "ComputeAccounts"}}},
                        {"Ref": "AWS::NoValue"},
                    ]},
                },
            ]);
            let roles = ["Identity", "LaunchRun", "ReportRun", "CleanupRun"];
            let roles = roles.map(|name| json!({"Ref": format!("{name}Role")}));
            let holds = policy["PolicyDocument"]["Statement"] == expected && policy["Roles"] == json!(roles);
            if holds { vec![] } else { vec!["EnvironmentRolesOnly".into()] }
        },
    },
    Requirement {
        what: "only Lambda can assume a function's role, and it has no managed policy",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html",
        violations: |template| {
            unless(logical_names(), |name| {
                let role = template.properties(&format!("{name}Role"));
                let trust = &role["AssumeRolePolicyDocument"]["Statement"];
                *trust
                    == json!([{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}])
                    && role["ManagedPolicyArns"].is_null()
                    && role["Policies"].is_null()
            })
        },
    },
    Requirement {
        what: "only API Gateway for this API and EventBridge for our rules may invoke, each limited by ARN",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html",
        violations: |template| {
            let permissions = template.of_type("AWS::Lambda::Permission").map(|(name, _)| name.to_owned());
            unless(permissions, |name| {
                let permission = template.properties(name);
                let known = ["apigateway.amazonaws.com", "events.amazonaws.com"];
                permission["Principal"].as_str().is_some_and(|it| known.contains(&it))
                    && !permission["SourceArn"].is_null()
            })
        },
    },
    Requirement {
        what: "the function that events invoke has a bounded share of the account's concurrency, and that of heartbeats its own",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html",
        violations: |template| {
            let reserved = &template.properties("CleanupRun")["ReservedConcurrentExecutions"];
            let expected = json!({"Fn::If": ["ReservesConcurrency", {"Ref": "CleanupConcurrency"}, {"Ref": "AWS::NoValue"}]});
            let reports = &template.properties("ReportRun")["ReservedConcurrentExecutions"];
            let of_reports = json!({"Fn::If": ["ReservesForReports", {"Ref": "ReportConcurrency"}, {"Ref": "AWS::NoValue"}]});
            let holds = *reserved == expected && *reports == of_reports;
            if holds { vec![] } else { vec!["CleanupRun".into()] }
        },
    },
    Requirement {
        what: "functions time out before API Gateway does after 30 seconds",
        page: "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html",
        violations: |template| {
            unless(logical_names().filter(|name| name != "CleanupRun"), |name| {
                template.properties(name)["Timeout"].as_u64().is_some_and(|seconds| seconds < 30)
            })
        },
    },
    Requirement {
        what: "a function that triggers itself is stopped",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html",
        violations: |template| {
            unless(logical_names(), |name| template.properties(name)["RecursiveLoop"] == "Terminate")
        },
    },
    Requirement {
        what: "the routes match the table of operations: the function, and the authorizer for user credentials",
        page: "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html",
        violations: routes,
    },
    Requirement {
        what: "each function's environment has exactly the variables of its configuration",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html",
        violations: environment,
    },
];

/// Estimates the size of a deployed policy, with every reference counted as the longest ARN in it.
fn deployed_size(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Object(object)
            if object.keys().any(|name| name == "Ref" || name.starts_with("Fn::")) =>
        {
            130
        }
        serde_json::Value::Object(object) => {
            object.iter().map(|(name, value)| name.len() + 4 + deployed_size(value)).sum::<usize>() + 2
        }
        serde_json::Value::Array(list) => list.iter().map(|one| deployed_size(one) + 1).sum::<usize>() + 2,
        other => other.to_string().len(),
    }
}

fn routes(template: &Template) -> Vec<String> {
    let deployed: BTreeMap<String, &serde_json::Value> = template
        .of_type("AWS::ApiGatewayV2::Route")
        .map(|(_, route)| {
            (route["Properties"]["RouteKey"].as_str().unwrap_or_default().to_owned(), &route["Properties"])
        })
        .collect();
    let mut violations: Vec<String> = Operation::ALL
        .iter()
        .filter(|operation| {
            let function = end_to_end::rights::logical(folder(operation.function()));
            let user = operation.credential() == http_api::operation::Credential::User;
            !deployed.get(operation.route_key()).is_some_and(|route| {
                route["Target"].to_string().contains(&format!("{function}Integration"))
                    && route["AuthorizationType"] == if user { "CUSTOM" } else { "NONE" }
                    && route["AuthorizerId"].is_null() != user
            })
        })
        .map(|operation| operation.route_key().to_owned())
        .collect();
    // Other requests are answered with 501, for users only.
    let unknown = deployed.get("$default").is_some_and(|route| {
        route["Target"].to_string().contains("IdentityIntegration") && route["AuthorizationType"] == "CUSTOM"
    });
    // The files of the console, which are public.
    let console = |route: &String| {
        ["GET /console", "GET /console/{proxy+}"].contains(&route.as_str())
            && deployed[route]["Target"].to_string().contains("ConsoleIntegration")
            && deployed[route]["AuthorizationType"] == "NONE"
    };
    let known = |route: &String| {
        Operation::of_route(route).is_some() || unknown && route == "$default" || console(route)
    };
    violations.extend(deployed.keys().filter(|route| !known(route)).cloned());
    violations
}

/// The variables of all functions. [`OWN`] lists the additional ones of each function.
const ALL: [&str; 5] = ["TABLE_NAME", "DEPLOYMENT", "ACCOUNT_ID", "RESTORED", "LOG_LEVEL"];
const TIMES: [&str; 5] = [
    "PROVISIONING_SECONDS",
    "PENDING_SECONDS",
    "LEASE_SECONDS",
    "LONGEST_RUN_SECONDS",
    "HEAD_JOB_GRACE_SECONDS",
];
const OWN: [(&str, &[&str], bool); 9] = [
    ("Authorizer", &["OIDC_ISSUERS"], false),
    (
        "Identity",
        &[
            "OIDC_ISSUERS",
            "MAX_TOKEN_DAYS",
            "RUN_PREFIX",
            "EVENT_BUS_NAME",
            "LONGEST_RUN_SECONDS",
            "HEAD_JOB_GRACE_SECONDS",
            "COMPUTE_ACCOUNTS",
            "SERVICE_ROLES",
            "ENVIRONMENT_BUS_ARN",
        ],
        false,
    ),
    ("ReadSecrets", &[], false),
    ("WriteSecrets", &["ENVELOPE_KEY_ARN", "ALLOW_AWS_NAMES", "MAINTAIN_MAY_WRITE"], false),
    (
        "LaunchRun",
        &[
            "ENVELOPE_KEY_ARN",
            "EVENT_BUS_NAME",
            "RUN_PREFIX",
            "API_ENDPOINT",
            "COPY_KEY_ID",
            "DEFAULT_LAYOUT",
            "LAUNCH_WITHOUT_WORKSPACE",
            "LIVE_RUNS_PER_USER",
            "LIVE_RUNS_PER_WORKSPACE",
            "LIVE_COPIES_PER_USER",
            "LIVE_COPIES_PER_WORKSPACE",
        ],
        true,
    ),
    ("ClaimRun", &["ENVELOPE_KEY_ARN", "EVENT_BUS_NAME"], true),
    ("ReportRun", &["EVENT_BUS_NAME"], true),
    ("CleanupRun", &["RUN_PREFIX"], true),
    ("Console", &["OIDC_ISSUERS"], false),
];

/// Parameters, all different from their defaults.
const CHOSEN: [(&str, &str); 21] = [
    ("RunPrefix", "a1b2"),
    ("ComputeAccounts", "210987654321"),
    ("OidcIssuers", r#"[{"issuer":"https://issuer.example.org","audience":"secrets","kind":"people"}]"#),
    ("MaxTokenDays", "30"),
    ("AllowAwsNames", "true"),
    ("MaintainMayWrite", "true"),
    ("DefaultLayout", "per-name"),
    ("CopyKeyArn", "arn:aws:kms:eu-west-1:111122223333:key/2"),
    ("PublicEndpoint", "https://secrets.example.org"),
    ("ProvisioningSeconds", "60"),
    ("PendingSeconds", "61"),
    ("LeaseSeconds", "62"),
    ("LongestRunSeconds", "63"),
    ("HeadJobGraceSeconds", "64"),
    ("Restored", "true"),
    ("LaunchWithoutWorkspace", "none"),
    ("LiveRunsPerUser", "5"),
    ("LiveRunsPerWorkspace", "6"),
    ("LiveCopiesPerUser", "7"),
    ("LiveCopiesPerWorkspace", "8"),
    ("RestoredTable", "restored-table"),
];

fn environment(template: &Template) -> Vec<String> {
    let chosen = BTreeMap::from(CHOSEN);
    let mut violations = Vec::new();
    for (function, own, times) in OWN {
        let mut given = template.environment(function, &chosen);
        let mut expected: Vec<_> = ALL.iter().chain(own).copied().collect();
        expected.extend(TIMES.iter().filter(|_| times));
        violations.extend(unless(expected.iter().map(|it| (*it).to_owned()), |it| given.contains_key(it)));
        violations.extend(given.keys().filter(|it| !expected.contains(&it.as_str())).cloned());
        given.insert("AWS_REGION".into(), "eu-west-1".into()); // set by Lambda
        let faults = match function {
            "Authorizer" | "Console" => faults::<(Table, Settings, Issuers)>(&given),
            "Identity" => {
                faults::<(Table, Settings, Home, RunPrefix, ComputeEnvironments, Issuers, Bus)>(&given)
            }
            "ReadSecrets" => faults::<(Table, Settings)>(&given),
            "WriteSecrets" => faults::<(Table, Settings, EnvelopeKey)>(&given),
            "LaunchRun" => faults::<(Table, Settings, EnvelopeKey, Bus, RunPrefix, Launch)>(&given),
            "ClaimRun" => faults::<(Table, Settings, EnvelopeKey, Bus)>(&given),
            "ReportRun" => faults::<(Table, Settings, Bus, Home)>(&given),
            _ => faults::<(Table, Settings, Home)>(&given),
        };
        violations.extend(faults.map(|fault| format!("{function}: {fault}")));
        if let Ok((table, settings)) = config::load::<(Table, Settings)>(|name| given.get(name).cloned()) {
            let limits = settings.limits;
            let Limits { provisioning, pending, lease, longest_run, head_job_grace } = limits;
            let seconds = [provisioning, pending, lease, longest_run, head_job_grace].map(|it| it.as_secs());
            let live = settings.live_limits;
            let live = [
                live.runs_per_user,
                live.runs_per_workspace,
                live.copies_per_user,
                live.copies_per_workspace,
            ];
            let launch = settings.default_layout.as_str() == "per-name"
                && live == [5, 6, 7, 8]
                && settings.launch_without_workspace == LaunchWithoutWorkspace::NoOne;
            let correct = table.name == "restored-table"
                && settings.restored
                && (!times || seconds == [60, 61, 62, 63, 64])
                && (function != "WriteSecrets" || (settings.allow_aws_names && settings.maintain_may_write))
                && (function != "Identity" || settings.max_token_life.as_hours() == 30 * 24)
                && (function != "Identity" || seconds[3..] == [63, 64])
                && (function != "LaunchRun" || launch);
            violations.extend(
                (!correct).then(|| format!("{function} has settings that differ from the parameters")),
            );
        }
    }
    violations
}

fn faults<S: Section>(given: &BTreeMap<String, String>) -> Option<String> {
    config::load::<S>(|name| given.get(name).cloned()).err().map(|faults| faults.to_string())
}
