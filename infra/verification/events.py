"""Compares the deployed event rules and queues with the template, and looks for a trail."""

import json

from .aws import together
from .checks import REPAIR, Check, NotTried, Wrong, expect
from .compare import differences, policies


def rules(run):
    """Rules are enabled, match what they must, and have their target and dead-letter queue."""
    expected = run.deployed.of_type("AWS::Events::Rule")
    found = together(*(call for name, rule in expected.items() for call in _rule(run, name, rule)))
    lines = []
    for index, (name, rule) in enumerate(expected.items()):
        present, targets = found[2 * index], found[2 * index + 1]["Targets"]
        where = f"rule {name} ({present.get('Name')})"
        state = rule.get("State", "ENABLED")
        if present.get("State") != state:
            lines.append(f"{where} is {present.get('State')}, and must be {state}: aws events enable-rule --name {present.get('Name')}")
        if rule.get("ScheduleExpression") != present.get("ScheduleExpression"):
            lines.append(f"{where} runs on {present.get('ScheduleExpression')}, and must run on {rule.get('ScheduleExpression')}. {REPAIR}")
        pattern = json.loads(present.get("EventPattern") or "null")
        if pattern != rule.get("EventPattern"):
            lines.append(f"{where} has another pattern: {json.dumps(pattern)}. {REPAIR}")
        lines += [f"{where}: {one}. {REPAIR}" for one in differences({"Targets": rule["Targets"]}, {"Targets": targets})]
    expect(lines)
    return f"{len(expected)} rules"


def _rule(run, name, rule):
    physical = run.deployed.physical[name].split("|")[-1]
    bus = ["--event-bus-name", rule["EventBusName"]] if "EventBusName" in rule else []
    yield lambda: run.aws("events", "describe-rule", "--name", physical, *bus)
    yield lambda: run.aws("events", "list-targets-by-rule", "--rule", physical, *bus)


def queues(run):
    """Queues are encrypted, keep letters for two weeks, and accept them from the right rules."""
    written = {}
    for policy in run.deployed.of_type("AWS::SQS::QueuePolicy").values():
        for url in policy["Queues"]:
            written[url] = policy["PolicyDocument"]
    expected = run.deployed.of_type("AWS::SQS::Queue")
    found = together(*(_attributes_of(run, name) for name in expected))
    lines = []
    for (name, queue), attributes in zip(expected.items(), found):
        url = run.deployed.physical[name]
        where = f"queue {name} ({url.rsplit('/', 1)[-1]})"
        lines += [f"{where}: {one}. {REPAIR}" for one in differences(queue, attributes)]
        policy = attributes.get("Policy")
        lines += [f"policy of {where}: {one}. {REPAIR}" for one in policies(written.get(url), policy)]
    expect(lines)
    return f"{len(expected)} queues"


def _attributes_of(run, name):
    url = run.deployed.physical[name]
    return lambda: run.aws("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]


def bus(run):
    """Event buses are there, and only the compute accounts can put events on theirs."""
    allowed = {}
    for policy in run.deployed.of_type("AWS::Events::EventBusPolicy").values():
        allowed.setdefault(policy["EventBusName"], []).append({"Sid": policy["StatementId"], **policy["Statement"]})
    lines = []
    for name in run.deployed.of_type("AWS::Events::EventBus"):
        physical = run.deployed.physical[name]
        found = run.aws("events", "describe-event-bus", "--name", physical).get("Policy")
        wanted = {"Statement": allowed.get(physical, [])}
        lines += [f"policy of bus {name} ({physical}): {one}. {REPAIR}" for one in policies(wanted, found)]
    expect(lines)


def trail(run):
    """CloudTrail feeds the alarms about administrators and the break-glass principal."""
    needs_reads = bool(run.deployed.parameters.get("BreakGlassPrincipal"))
    trails = run.aws("cloudtrail", "describe-trails")["trailList"]
    for one in trails:
        arn = one["TrailARN"]
        status, selectors = together(
            lambda: run.aws("cloudtrail", "get-trail-status", "--name", arn),
            lambda: run.aws("cloudtrail", "get-event-selectors", "--trail-name", arn),
        )
        if status.get("IsLogging") and _records_management(selectors, needs_reads):
            return f"trail {one['Name']}"
    kinds = "read and write" if needs_reads else "write"
    text = (
        f"no CloudTrail trail in {run.deployed.region} records {kinds} management events with those of KMS: "
        "AdministrationAlarm and BreakGlassAlarm cannot go off. Create one (docs/operations.md)"
    )
    if needs_reads:
        raise Wrong(text)
    raise NotTried(text)


def _records_management(selectors, needs_reads):
    wanted = ("All",) if needs_reads else ("All", "WriteOnly")
    for one in selectors.get("EventSelectors") or []:
        excluded = one.get("ExcludeManagementEventSources") or []
        if one.get("IncludeManagementEvents") and one.get("ReadWriteType") in wanted and "kms.amazonaws.com" not in excluded:
            return True
    for one in selectors.get("AdvancedEventSelectors") or []:
        fields = {field["Field"]: field for field in one.get("FieldSelectors") or []}
        if fields.get("eventCategory", {}).get("Equals") != ["Management"]:
            continue
        reads = fields.get("readOnly", {}).get("Equals")
        kms = "kms.amazonaws.com" in (fields.get("eventSource", {}).get("NotEquals") or [])
        if not kms and (reads is None or (reads == ["false"] and not needs_reads)):
            return True
    return False


CHECKS = [
    Check("bus", "event buses: who may put events", bus, ()),
    Check("rules", "event rules: state, pattern, target, dead letters", rules, ()),
    Check("queues", "queues: encryption, policies", queues, ()),
    Check("trail", "CloudTrail records what administrators do", trail, ()),
]
