"""Whether the alarms can go off: their metrics have data, and their rules match what they must."""

import json
from datetime import datetime, timedelta, timezone

from .checks import Check, NotTried, expect
from .compare import metrics

LOOKED_BACK = timedelta(hours=3)
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
METRICS_ARRIVE = timedelta(minutes=20)
# Metrics that are written only when what they count happens. Others must have data.
ONLY_WHEN_IT_HAPPENS = {
    ("PipelineSecrets", "SecondClaims"): "a claim token is used twice",
    ("PipelineSecrets", "EnvelopeRefused"): "a value does not open",
    ("PipelineSecrets", "CleanupFailures"): "a clean-up fails",
    ("PipelineSecrets", "OrphansFound"): "an orphan is found",
    ("PipelineSecrets", "OverdueHeadJobs"): "a head job runs past the latest end of its run",
    ("PipelineSecrets", "UnknownCopies"): "a copy of an unknown run is found",
    ("PipelineSecrets", "ExpiringSecrets"): "the daily check runs",
    ("PipelineSecrets", "ExpiringTokens"): "the daily check runs",
    ("PipelineSecrets", "AuthorizerFailures"): "the authorizer fails",
    ("PipelineSecrets/Api", "TooManyRequests"): "a request is refused with 429",
    ("AWS/Lambda", "AsyncEventsDropped"): "an event is dropped",
    ("AWS/Lambda", "DestinationDeliveryFailures"): "a destination fails",
    ("AWS/Events", "FailedInvocations"): "an invocation fails",
    ("AWS/Events", "InvocationsFailedToBeSentToDlq"): "a dead letter is lost",
    ("AWS/DynamoDB", "ReadThrottleEvents"): "a read is throttled",
    ("AWS/DynamoDB", "WriteThrottleEvents"): "a write is throttled",
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): "the queue was used in the last six hours",
}


def alarm_metrics(run):
    """Each metric of an alarm has data, or is written only when something happens."""
    if run.aws.is_local("cloudwatch"):
        raise NotTried("the stack is on a local emulator, which writes no metrics")
    wanted = {}
    for name, alarm in run.deployed.of_type("AWS::CloudWatch::Alarm").items():
        for namespace, metric, dimensions in metrics(alarm):
            wanted.setdefault((namespace, metric, json.dumps(dimensions)), []).append(name)
    silent = _without_data(run, list(wanted))
    if len(silent) == len(wanted):
        raise NotTried(f"CloudWatch has no data of the last {LOOKED_BACK.seconds // 3600} hours for any alarm. It can take 15 minutes: repeat with --only metrics")
    unexplained = [one for one in silent if one[:2] not in ONLY_WHEN_IT_HAPPENS]
    lines = [
        f"{', '.join(wanted[one])}: the metric {one[0]} {one[1]} {one[2]} has no data. Check the alarm's dimensions, and what writes the metric"
        for one in unexplained
    ]
    created = datetime.fromisoformat(run.stack["CreationTime"].replace("Z", "+00:00"))
    if lines and datetime.now(timezone.utc) - created < METRICS_ARRIVE:
        raise NotTried(f"{len(lines)} metrics have no data yet; the stack is new. Repeat in 20 minutes with --only metrics")
    expect(lines)
    return f"{len(wanted) - len(silent)} of {len(wanted)} metrics have data; the others are written only when something happens"


def _without_data(run, wanted):
    queries = [
        {
            "Id": f"m{index}",
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": json.loads(dimensions)},
                "Period": 300,
                "Stat": "SampleCount",
            },
        }
        for index, (namespace, metric, dimensions) in enumerate(wanted)
    ]
    request, now = run.write("metrics.json", queries), datetime.now(timezone.utc)
    answer = run.aws(
        "cloudwatch", "get-metric-data", "--metric-data-queries", f"file://{request}",
        "--start-time", (now - LOOKED_BACK).strftime("%Y-%m-%dT%H:%M:%SZ"), "--end-time", now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    run.metrics_read += len(queries)
    with_data = {one["Id"] for one in answer["MetricDataResults"] if one.get("Values")}
    return [one for index, one in enumerate(wanted) if f"m{index}" not in with_data]


def patterns(run):
    """The deployed patterns match the events that they must, and no others."""
    lines = [
        f"rule {rule} {'matches' if matched else 'does not match'} {what}, and {'must not' if matched else 'must'}. Deploy again"
        for rule, what, event, expected in _events(run)
        if (matched := _matches(run, rule, event)) != expected
    ]
    expect(lines)


def _matches(run, rule, event):
    pattern = run.deployed.template["Resources"][rule]["Properties"]["EventPattern"]
    pattern = run.write("pattern.json", run.deployed.resolve(pattern))
    event = run.write("matched.json", event)
    return run.aws("events", "test-event-pattern", "--event-pattern", f"file://{pattern}", "--event", f"file://{event}")["Result"]


def _events(run):
    deployed, key = run.deployed, run.deployed.resolve({"Fn::GetAtt": ["EnvelopeKey", "Arn"]})
    run_event = {"source": "pipeline-secrets", "detail-type": "Run", "detail": {"workflowId": "x"}}
    yield "RunEventRule", "the event of a run", _event(deployed, **run_event), True
    notice = {"source": "pipeline-secrets.expiry", "detail-type": "Secret Approaching Expiration", "detail": {"secretId": 1}}
    yield "RunEventRule", "the notice of an expiry", _event(deployed, **notice), False
    for status, expected in (("SUCCEEDED", True), ("FAILED", True), ("RUNNING", False)):
        job = {"source": "aws.batch", "detail-type": "Batch Job State Change", "detail": {"jobId": "x", "status": status}}
        yield "BatchEventRule", f"an AWS Batch job that is {status}", _event(deployed, **job), expected
    for what, call, expected in (
        ("a change of the envelope key's policy", {"eventSource": "kms.amazonaws.com", "eventName": "PutKeyPolicy", "resources": [{"ARN": key}]}, True),
        ("a change of another key's policy", {"eventSource": "kms.amazonaws.com", "eventName": "PutKeyPolicy", "resources": [{"ARN": f"{key}0"}]}, False),
        ("a change of a function's code", _lambda_call("UpdateFunctionCode20150331v2", deployed.outputs["LaunchRunFunction"]), True),
        ("a change of another function's code", _lambda_call("UpdateFunctionCode20150331v2", "other"), False),
        ("a deploy", {"eventSource": "cloudformation.amazonaws.com", "eventName": "ExecuteChangeSet", "requestParameters": {"stackName": deployed.name}}, True),
    ):
        yield "AdministrationRule", what, _recorded(deployed, call), expected
    if principal := deployed.parameters.get("BreakGlassPrincipal"):
        for what, arn, expected in (("a use of the break-glass principal", principal, True), ("a use by launch-run", deployed.outputs["LaunchRunRoleArn"], False)):
            identity = {"sessionContext": {"sessionIssuer": {"arn": arn}}}
            call = {"eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "resources": [{"ARN": key}], "userIdentity": identity}
            yield "BreakGlassRule", what, _recorded(deployed, call), expected


def _lambda_call(name, function):
    return {"eventSource": "lambda.amazonaws.com", "eventName": name, "sourceIPAddress": "192.0.2.1", "requestParameters": {"functionName": function}}


def _recorded(deployed, call):
    """A record of CloudTrail as EventBridge sends it."""
    source = "aws." + call["eventSource"].split(".")[0]
    detail = {"sourceIPAddress": "192.0.2.1", "userIdentity": {"arn": "arn:aws:iam::123456789012:user/x"}, **call}
    return _event(deployed, **{"source": source, "detail-type": "AWS API Call via CloudTrail", "detail": detail})


def _event(deployed, **members):
    return {
        "id": "7bf73129-1428-4cd3-a780-95db273d1602", "version": "0", "account": deployed.account, "region": deployed.region,
        "time": "2026-01-01T00:00:00Z", "resources": [], **members,
    }


CHECKS = [
    Check("patterns", "rules match the events that they must", patterns, ()),
    Check("metrics", "the metrics of the alarms have data", alarm_metrics, ()),
]
