//! Data, queues, logs, events, API: what keeps them safe and what bounds them.

use end_to_end::rights::template::Template;
use serde_json::{Value, json};

use super::keys::is_kept;
use super::{Demand, logical_names, unless};

pub(super) const DEMANDS: &[Demand] = &[
    Demand {
        what: "the table is encrypted under the at-rest key",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/EncryptionAtRest.html",
        broken: |template| {
            let sse = &template.properties("Table")["SSESpecification"];
            let key = json!({"Fn::GetAtt": ["AtRestKey", "Arn"]});
            table(sse["SSEEnabled"] == true && sse["SSEType"] == "KMS" && sse["KMSMasterKeyId"] == key)
        },
    },
    Demand {
        what: "the table can be restored to any second of 35 days",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html",
        broken: |template| {
            let recovery = &template.properties("Table")["PointInTimeRecoverySpecification"];
            table(recovery["PointInTimeRecoveryEnabled"] == true && recovery["RecoveryPeriodInDays"] == 35)
        },
    },
    Demand {
        what: "what is over goes by its ttl",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html",
        broken: |template| {
            let expected = json!({"AttributeName": "ttl", "Enabled": true});
            table(template.properties("Table")["TimeToLiveSpecification"] == expected)
        },
    },
    Demand {
        what: "the table refuses its deletion unless told otherwise, and is kept when the stack goes",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithTables.Basics.html#WorkingWithTables.Basics.DeletionProtection",
        broken: |template| {
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
    Demand {
        what: "Lambda drops no line by its level: the audit trail is INFO, and metrics, which name none, count as INFO",
        page: "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html",
        broken: |template| {
            unless(logical_names(), |name| {
                let logging = &template.properties(name)["LoggingConfig"];
                logging["LogFormat"] == "JSON" && logging["ApplicationLogLevel"].is_null()
            })
        },
    },
    Demand {
        what: "every log group is encrypted, kept for the chosen time, and there after the stack: a restore needs it",
        page: "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html",
        broken: |template| {
            let groups = template.of_type("AWS::Logs::LogGroup").map(|(name, _)| name.to_owned());
            unless(groups, |name| {
                let group = template.properties(name);
                group["RetentionInDays"]["Ref"] == "LogRetentionDays"
                    && group["KmsKeyId"] == json!({"Fn::GetAtt": ["AtRestKey", "Arn"]})
                    && is_kept(&template.document["Resources"][name])
            })
        },
    },
    Demand {
        what: "the queues are encrypted under our key, keep their messages for two weeks, and take them over TLS alone",
        page: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html",
        broken: |template| {
            let queues = template.of_type("AWS::SQS::Queue").map(|(name, _)| name.to_owned());
            unless(queues, |name| {
                let queue = template.properties(name);
                queue["KmsMasterKeyId"] == json!({"Fn::GetAtt": ["AtRestKey", "Arn"]})
                    && queue["MessageRetentionPeriod"] == 1_209_600
            })
        },
    },
    Demand {
        what: "no queue lets everybody in",
        page: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html#ensure-queues-not-publicly-accessible",
        broken: |template| {
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
    Demand {
        what: "every rule that hands over to the function retries within bounds and has a dead-letter queue",
        page: "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html",
        broken: |template| {
            let rules = ["RunEventRule", "BatchEventRule", "SweepRule"].map(str::to_owned);
            unless(rules, |name| {
                let target = &template.properties(name)["Targets"][0];
                target["DeadLetterConfig"]["Arn"] == json!({"Fn::GetAtt": ["UndeliveredEvents", "Arn"]})
                    && target["RetryPolicy"]["MaximumRetryAttempts"].is_number()
                    && target["RetryPolicy"]["MaximumEventAgeInSeconds"].is_number()
            })
        },
    },
    Demand {
        what: "rules match this account's events alone, and of AWS Batch just the ends of jobs",
        page: "https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html",
        broken: |template| {
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
    Demand {
        what: "the API is throttled at its stage",
        page: "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html",
        broken: |template| {
            let settings = &template.properties("ApiStage")["DefaultRouteSettings"];
            let holds = settings["ThrottlingRateLimit"]["Ref"] == "ThrottleRate"
                && settings["ThrottlingBurstLimit"]["Ref"] == "ThrottleBurst"
                && settings["DetailedMetricsEnabled"] == true;
            if holds { vec![] } else { vec!["ApiStage".into()] }
        },
    },
    Demand {
        what: "the API's access log holds no header, query or body",
        page: "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html",
        broken: |template| {
            let format = template.properties("ApiStage")["AccessLogSettings"]["Format"].to_string();
            let bad = ["header", "query", "body", "path", "$context.identity.user", "authorizer.token"];
            bad.into_iter().filter(|word| format.contains(word)).map(str::to_owned).collect()
        },
    },
    Demand {
        what: "a checked token is believed for a minute at most, and not at all while the table is restored",
        page: "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html#http-api-lambda-authorizer.caching",
        broken: |template| {
            let ttl = &template.properties("TokenAuthorizer")["AuthorizerResultTtlInSeconds"];
            let most = &template.document["Parameters"]["AuthorizerCacheSeconds"]["MaxValue"];
            let holds = *ttl == json!({"Fn::If": ["IsRestored", 0, {"Ref": "AuthorizerCacheSeconds"}]})
                && *most == 60;
            if holds { vec![] } else { vec!["TokenAuthorizer".into()] }
        },
    },
    Demand {
        what: "uses of the break-glass principal are kept and alarmed, though Decrypt counts as read-only",
        page: "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html",
        broken: |template| {
            let rule = template.properties("BreakGlassRule");
            let holds = rule["State"] == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
                && rule["Targets"][0]["Arn"] == json!({"Fn::GetAtt": ["BreakGlassUses", "Arn"]})
                && alarmed(template, "BreakGlassUses");
            if holds { vec![] } else { vec!["BreakGlassRule".into()] }
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
