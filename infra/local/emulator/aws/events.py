"""EventBridge: entries, rules, targets, and events that cannot be delivered."""

import json
import re

from ministack.core.arn import parse_arn
from ministack.services import eventbridge, lambda_svc
from ministack.services import sqs as queues

from . import kms, shapes
from .calls import Refused, check, context, resource
from .iam import allows_service

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
LONGEST_REQUEST = 1_000_000  # bytes of all entries together; "must be less than 1MB"
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
MOST_TARGETS = 5
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
PRINCIPAL = "events.amazonaws.com"
RATE = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)")


def install():
    check("events", _refuse)
    context("events", _sources)
    resource("AWS::Events::Rule", _refuse_rule_of_a_stack)
    _refuse_malformed_entries()
    _invoke_functions_asynchronously()
    _enforce_resource_policies()


def _refuse(call):
    data = call.data
    if call.operation == "PutEvents":
        if sum(map(_bytes_of, data["Entries"])) >= LONGEST_REQUEST:
            raise Refused("ValidationException", "Total size of the entries in the request is over the limit.")
    if call.operation == "PutRule":
        _refuse_rule(data)
    if call.operation == "PutTargets":
        _refuse_targets(data["Targets"], _targets_of(data))


def _bytes_of(entry):
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html"""
    texts = [entry.get("Source"), entry.get("DetailType"), entry.get("Detail"), *(entry.get("Resources") or [])]
    return sum(len((text or "").encode()) for text in texts) + (14 if entry.get("Time") else 0)


def _refuse_rule(data):
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html"""
    schedule = data.get("ScheduleExpression")
    if not schedule and not data.get("EventPattern"):
        raise Refused("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
    if schedule and data.get("EventBusName", "default") != "default":
        raise Refused("ValidationException", "ScheduleExpression is supported only on the default event bus.")
    if schedule and schedule.startswith("rate(") and not RATE.fullmatch(schedule):
        raise Refused("ValidationException", "Parameter ScheduleExpression is not valid.")


def _targets_of(data):
    key = eventbridge._rule_key(data["Rule"], data.get("EventBusName", "default"))
    return [one["Id"] for one in eventbridge._targets.get(key) or []]


def _refuse_targets(targets, known):
    if len({*known, *(one.get("Id") for one in targets)}) > MOST_TARGETS:
        raise Refused("LimitExceededException", "A rule has 5 targets at most.")


def _refuse_rule_of_a_stack(properties):
    pattern = properties.get("EventPattern")
    rule = {**properties, "EventPattern": json.dumps(pattern) if isinstance(pattern, dict) else pattern}
    rule = {name: value for name, value in rule.items() if value is not None and name != "Targets"}
    shapes.check("events", "PutRule", {"Name": "rule", **rule}, Refused)
    _refuse_rule(rule)
    targets = properties.get("Targets") or []
    if targets:
        shapes.check("events", "PutTargets", {"Rule": "rule", "Targets": targets}, Refused)
        _refuse_targets(targets, [])


def _refuse_malformed_entries():
    """An entry that lacks a part, or whose detail is not a JSON object, fails alone.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    """
    known = eventbridge._put_events

    def put_events(data, allow_aws_source=False):
        entries = data.get("Entries", [])
        wrong = {index: found for index, entry in enumerate(entries) if (found := _wrong(entry))}
        good = [entry for index, entry in enumerate(entries) if index not in wrong]
        status, headers, body = known({**data, "Entries": good}, allow_aws_source)
        if status != 200 or not wrong:
            return status, headers, body
        answered = json.loads(body)
        results = iter(answered["Entries"])
        merged = [
            {"ErrorCode": wrong[index][0], "ErrorMessage": wrong[index][1]} if index in wrong else next(results)
            for index in range(len(entries))
        ]
        failed = answered["FailedEntryCount"] + len(wrong)
        return eventbridge.json_response({"FailedEntryCount": failed, "Entries": merged})

    eventbridge._put_events = put_events


def _wrong(entry):
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    return None if isinstance(detail, dict) else ("MalformedDetail", "Detail is malformed.")


def _invoke_functions_asynchronously():
    """A rule invokes a function asynchronously, with its retries and on-failure destination.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
    """

    def dispatch_to_lambda(arn, payload):
        function, config, _ = lambda_svc._get_func_record_for_ref(arn)
        if function and config:
            record = lambda_svc._execution_record_for_config(function, config)
            lambda_svc.invoke_async_with_retry(record, json.loads(payload))

    eventbridge._dispatch_to_lambda = dispatch_to_lambda


def _enforce_resource_policies():
    """A target's resource policy must allow the rule. Otherwise the dead-letter queue gets the event.

    The queue's policy must allow the rule too. A queue with a customer managed key receives
    messages only if the key policy allows EventBridge to use the key.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
    """
    known = eventbridge._invoke_target

    def invoke_target(target, event, rule, view=None):
        if _is_allowed(target["Arn"], rule["Arn"]):
            known(target, event, rule, view)
            return
        letters = (target.get("DeadLetterConfig") or {}).get("Arn")
        kept = bool(letters) and _is_allowed(letters, rule["Arn"])
        eventbridge.logger.warning("EventBridge → %s: denied, %s", target["Arn"], "sent to the dead-letter queue" if kept else "lost")
        if kept:
            known({**target, "Arn": letters}, event, rule, view)

    eventbridge._invoke_target = invoke_target


def _is_allowed(arn, rule):
    service, keys = parse_arn(arn).service, {"aws:SourceArn": rule}
    if service == "lambda":
        policy, _ = lambda_svc.function_policy_for_arn(arn) or (None, None)
        return allows_service(policy, PRINCIPAL, "lambda:InvokeFunction", arn, keys)
    if service == "sqs":
        policy, _ = queues.queue_policy_for_arn(arn) or (None, None)
        key = ((queues._queue_by_arn(arn) or {}).get("attributes") or {}).get("KmsMasterKeyId")
        encrypts = not key or kms.allows_service_to_send(PRINCIPAL, key)
        return encrypts and allows_service(policy, PRINCIPAL, "sqs:SendMessage", arn, {**keys, "aws:SecureTransport": "true"})
    return True


def _sources(data):
    """`events:source`. Each entry is authorized: one with another source denies the call.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
    """
    if not isinstance(data.get("Entries"), list):
        return {}
    sources = {entry.get("Source", "") for entry in data["Entries"] if isinstance(entry, dict)}
    return {"events:source": next(iter(sources)) if len(sources) == 1 else " ".join(sorted(sources))}
