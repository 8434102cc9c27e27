//! Requirements on data, queues, logs, events and the API: protection and limits.

use std::collections::BTreeMap;

use end_to_end::rights::template::Template;
use http_api::Operation;
use http_api::operation::Credential;
use serde_json::{Value, json};

use super::keys::is_kept;
use super::{Requirement, logical_names, unless};

pub(super) const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        what: "the table is encrypted under the at-rest key",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/EncryptionAtRest.html",
        violations: |template| {
            let sse = &template.properties("Table")["SSESpecification"];
            let key = json!({"Fn::GetAtt": ["AtRestKey", "Arn"]});
            table(sse["SSEEnabled"] == true && sse["SSEType"] == "KMS" && sse["KMSMasterKeyId"] == key)
        },
    },
    Requirement {
        what: "the table can be restored to any second of the last 35 days",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html",
        violations: |template| {
            let recovery = &template.properties("Table")["PointInTimeRecoverySpecification"];
            table(recovery["PointInTimeRecoveryEnabled"] == true && recovery["RecoveryPeriodInDays"] == 35)
        },
    },
    Requirement {
        what: "expired rows are deleted by their ttl",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html",
        violations: |template| {
            let expected = json!({"AttributeName": "ttl", "Enabled": true});
            table(template.properties("Table")["TimeToLiveSpecification"] == expected)
        },
    },
    Requirement {
        what: "the table has deletion protection by default, and is retained when the stack is deleted",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithTables.Basics.html#WorkingWithTables.Basics.DeletionProtection",
        violations: |template| {
            let protected = &template.properties("Table")["DeletionProtectionEnabled"];
            let default = &template.document["Parameters"]["DeletionProtection"]["Default"];
            let expected = json!({"Fn::If": ["ProtectsTable", true, false]});
            table(
                *protected == expected
                    && default == "true"
                    && is_kept(&template.document["Resources"]["Table"]),
            )
        },
    },
    Requirement {
        what: "Lambda filters no log line by level: the audit trail is INFO, and metrics, which have no level, count as INFO",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html",
        violations: |template| {
            unless(logical_names(), |name| {
                let logging = &template.properties(name)["LoggingConfig"];
                logging["LogFormat"] == "JSON" && logging["ApplicationLogLevel"].is_null()
            })
        },
    },
    Requirement {
        what: "every log group is encrypted, has the configured retention, and is retained after the stack for restores",
        page: "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html",
        violations: |template| {
            let groups = template.of_type("AWS::Logs::LogGroup").map(|(name, _)| name.to_owned());
            unless(groups, |name| {
                let group = template.properties(name);
                group["RetentionInDays"]["Ref"] == "LogRetentionDays"
                    && group["KmsKeyId"] == json!({"Fn::GetAtt": ["AtRestKey", "Arn"]})
                    && is_kept(&template.document["Resources"][name])
            })
        },
    },
    Requirement {
        what: "the queues are encrypted under our key and keep their messages for two weeks",
        page: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html",
        violations: |template| {
            let queues = template.of_type("AWS::SQS::Queue").map(|(name, _)| name.to_owned());
            unless(queues, |name| {
                let queue = template.properties(name);
                queue["KmsMasterKeyId"] == json!({"Fn::GetAtt": ["AtRestKey", "Arn"]})
                    && queue["MessageRetentionPeriod"] == 1_209_600
            })
        },
    },
    Requirement {
        what: "no queue policy allows every principal",
        page: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html#ensure-queues-not-publicly-accessible",
        violations: |template| {
            let policies = template.of_type("AWS::SQS::QueuePolicy").map(|(name, _)| name.to_owned());
            unless(policies, |name| {
                let policy = template.properties(name)["PolicyDocument"]["Statement"].as_array().cloned();
                policy
                    .unwrap_or_default()
                    .iter()
                    .all(|one| one["Effect"] == "Deny" || one["Principal"] != "*")
            })
        },
    },
    Requirement {
        what: "every rule that targets a function has bounded retries and a dead-letter queue",
        page: "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html",
        violations: |template| {
            let rules = ["RunEventRule", "BatchEventRule", "SweepRule", "ExpiryRule"].map(str::to_owned);
            unless(rules, |name| {
                let targets = template.properties(name)["Targets"].as_array().cloned().unwrap_or_default();
                let is_bounded = |target: &Value| {
                    target["DeadLetterConfig"]["Arn"] == json!({"Fn::GetAtt": ["UndeliveredEvents", "Arn"]})
                        && target["RetryPolicy"]["MaximumRetryAttempts"].is_number()
                        && target["RetryPolicy"]["MaximumEventAgeInSeconds"].is_number()
                };
                !targets.is_empty() && targets.iter().all(is_bounded)
            })
        },
    },
    Requirement {
        what: "an event of a schedule on which identity fails three times raises an alarm: without a destination, Lambda drops it",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
        violations: |template| {
            let alarm = template.properties("FailedSchedulesAlarm");
            let holds = alarm["Namespace"] == "AWS/Lambda"
                && alarm["MetricName"] == "AsyncEventsDropped"
                && alarm["Dimensions"] == json!([{"Name": "FunctionName", "Value": {"Ref": "Identity"}}])
                && alarm["ComparisonOperator"] == "GreaterThanThreshold"
                && alarm["Threshold"] == 0;
            if holds { vec![] } else { vec!["FailedSchedulesAlarm".into()] }
        },
    },
    Requirement {
        what: "secrets and tokens that expire are announced daily, under a source that no other rule matches",
        page: "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html",
        violations: |template| {
            let rule = template.properties("ExpiryRule");
            let runs = &template.properties("RunEventRule")["EventPattern"]["source"];
            let holds = rule["ScheduleExpression"] == "rate(1 day)" && *runs == json!(["pipeline-secrets"]);
            if holds { vec![] } else { vec!["ExpiryRule".into()] }
        },
    },
    Requirement {
        what: "rules match only this account's events, and from AWS Batch only the ends of jobs",
        page: "https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html",
        violations: |template| {
            let of_account = unless(["RunEventRule", "BatchEventRule"].map(str::to_owned), |name| {
                template.properties(name)["EventPattern"]["account"] == json!([{"Ref": "AWS::AccountId"}])
            });
            let batch = &template.properties("BatchEventRule")["EventPattern"];
            let ends = batch["source"] == json!(["aws.batch"])
                && batch["detail-type"] == json!(["Batch Job State Change"])
                && batch["detail"]["status"] == json!(["SUCCEEDED", "FAILED"]);
            [of_account, if ends { vec![] } else { vec!["BatchEventRule".into()] }].concat()
        },
    },
    Requirement {
        what: "the API is throttled at its stage",
        page: "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html",
        violations: |template| {
            let settings = &template.properties("ApiStage")["DefaultRouteSettings"];
            let holds = settings["ThrottlingRateLimit"]["Ref"] == "ThrottleRate"
                && settings["ThrottlingBurstLimit"]["Ref"] == "ThrottleBurst"
                && settings["DetailedMetricsEnabled"] == true;
            if holds { vec![] } else { vec!["ApiStage".into()] }
        },
    },
    Requirement {
        what: "each route of running pipelines has limits of its own, which a flood of other routes cannot use up, and so has each proof of a role, which is slow",
        page: "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html",
        violations: |template| {
            let stage = &template.document["Resources"]["ApiStage"];
            let of_runs = json!({
                "ThrottlingRateLimit": {"Ref": "RunThrottleRate"},
                "ThrottlingBurstLimit": {"Ref": "RunThrottleBurst"},
                "DetailedMetricsEnabled": true,
            });
            let of = |rate: u32, burst: u32| {
                json!({
                    "ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst, "DetailedMetricsEnabled": true,
                })
            };
            let (of_cancellations, of_proofs) = (of(10, 50), of(2, 20));
            let settings = Operation::ALL.iter().filter_map(|it| match (it, it.credential()) {
                (Operation::CancelRun, _) => Some((it.route_key(), &of_cancellations)),
                (
                    Operation::CreateComputeEnv
                    | Operation::UpdateComputeEnv
                    | Operation::ValidateComputeEnv
                    | Operation::ValidateCredentials,
                    _,
                ) => Some((it.route_key(), &of_proofs)),
                (_, Credential::Run | Credential::Claim) => Some((it.route_key(), &of_runs)),
                _ => None,
            });
            let expected: BTreeMap<_, _> = settings.collect();
            let known = stage["Properties"]["RouteSettings"].as_object().map_or(0, serde_json::Map::len);
            let mut found = unless(expected.keys().map(|it| (*it).to_owned()), |route| {
                let id = template.of_type("AWS::ApiGatewayV2::Route");
                let id =
                    id.into_iter().find(|(_, it)| it["Properties"]["RouteKey"] == route).map(|(id, _)| id);
                stage["Properties"]["RouteSettings"][route] == *expected[route]
                    && stage["DependsOn"].as_array().is_some_and(|all| all.iter().any(|it| it.as_str() == id))
            });
            found.extend((known != expected.len()).then(|| format!("{known} routes have settings")));
            found
        },
    },
    Requirement {
        what: "the API's access log contains no header, query or body",
        page: "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html",
        violations: |template| {
            let format = template.properties("ApiStage")["AccessLogSettings"]["Format"].to_string();
            let bad = ["header", "query", "body", "path", "$context.identity.user", "authorizer.token"];
            bad.into_iter().filter(|word| format.contains(word)).map(str::to_owned).collect()
        },
    },
    Requirement {
        what: "authorizer decisions are cached for at most a minute, and not at all while the table is being restored",
        page: "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html#http-api-lambda-authorizer.caching",
        violations: |template| {
            let ttl = &template.properties("TokenAuthorizer")["AuthorizerResultTtlInSeconds"];
            let most = &template.document["Parameters"]["AuthorizerCacheSeconds"]["MaxValue"];
            let holds = *ttl == json!({"Fn::If": ["IsRestored", 0, {"Ref": "AuthorizerCacheSeconds"}]})
                && *most == 60;
            if holds { vec![] } else { vec!["TokenAuthorizer".into()] }
        },
    },
    Requirement {
        what: "uses of the break-glass principal are recorded and trigger an alarm, although Decrypt counts as read-only",
        page: "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html",
        violations: |template| {
            let rule = template.properties("BreakGlassRule");
            let holds = rule["State"] == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
                && rule["Targets"][0]["Arn"] == json!({"Fn::GetAtt": ["BreakGlassUses", "Arn"]})
                && alarmed(template, "BreakGlassUses");
            if holds { vec![] } else { vec!["BreakGlassRule".into()] }
        },
    },
    Requirement {
        what: "changes of the keys, the functions and the stack are recorded and trigger an alarm",
        page: "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html",
        violations: |template| {
            let rule = template.properties("AdministrationRule");
            let acts = rule["EventPattern"]["detail"]["$or"].to_string();
            let holds = rule["Targets"][0]["Arn"] == json!({"Fn::GetAtt": ["AdministrationEvents", "Arn"]})
                && ["EnvelopeKey", "AtRestKey", "PutKeyPolicy", "UpdateFunction", "ExecuteChangeSet"]
                    .iter()
                    .all(|act| acts.contains(act))
                && alarmed(template, "AdministrationEvents");
            if holds { vec![] } else { vec!["AdministrationRule".into()] }
        },
    },
];

fn table(holds: bool) -> Vec<String> {
    if holds { vec![] } else { vec!["Table".into()] }
}

fn alarmed(template: &Template, queue: &str) -> bool {
    let of_queue = |alarm: &Value| {
        alarm["Properties"]["Dimensions"][0]["Value"] == json!({"Fn::GetAtt": [queue, "QueueName"]})
    };
    template.of_type("AWS::CloudWatch::Alarm").any(|(_, alarm)| of_queue(alarm))
}
