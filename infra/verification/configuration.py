"""Compares what is deployed with the template."""

import json
import os
from urllib.parse import unquote

from .aws import together
from .checks import Check, NotTried, Wrong, expect
from .compare import alarms, differences, exactly, policies

REPAIR = "Deploy again; if it stays, another tool changes this resource."


def template(run):
    original = run.original_template()
    with open(run.template_file, encoding="utf-8") as file:
        ours = file.read()
    if not isinstance(original, str) or original.split() != ours.split():
        raise Wrong(
            f"stack {run.deployed.name} was deployed from another template than {run.template_file}. "
            "Use infra/verify of the release that is deployed, or deploy this one."
        )
    status = run.stack["StackStatus"]
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise Wrong(f"stack {run.deployed.name} is {status}; see its events, and deploy again")
    return status


def keys(run):
    lines = []
    for name, key in run.deployed.of_type("AWS::KMS::Key").items():
        arn = run.deployed.physical[name]
        described, policy, rotation = together(
            lambda: run.aws("kms", "describe-key", "--key-id", arn)["KeyMetadata"],
            lambda: run.aws("kms", "get-key-policy", "--key-id", arn, "--policy-name", "default")["Policy"],
            lambda: run.aws("kms", "get-key-rotation-status", "--key-id", arn),
        )
        if described["KeyState"] != "Enabled":
            lines.append(f"key {name} ({arn}) is {described['KeyState']}: enable it, or cancel its deletion")
        if not rotation["KeyRotationEnabled"]:
            lines.append(f"key {name} ({arn}) is not rotated. {REPAIR}")
        lines += [f"policy of key {name} ({arn}): {one}. {REPAIR}" for one in policies(key["KeyPolicy"], policy)]
    expect(lines)


def roles(run):
    known = {}
    for one in run.pages("iam", "get-account-authorization-details", "RoleDetailList", "--filter", "Role"):
        known[one["RoleName"]] = one
    rights = {}
    for name, policy in run.deployed.of_type("AWS::IAM::Policy").items():
        for role in policy["Roles"]:
            rights.setdefault(role, {})[policy["PolicyName"]] = policy["PolicyDocument"]
    lines = []
    for name, role in run.deployed.of_type("AWS::IAM::Role").items():
        physical = run.deployed.physical[name]
        found = known.get(physical)
        if found is None:
            lines.append(f"role {name} ({physical}) is missing. {REPAIR}")
            continue
        lines += [f"role {name} ({physical}): {one}. {REPAIR}" for one in _role(role, rights.get(physical, {}), found)]
    expect(lines)
    return f"{len(rights)} roles"


def _role(expected, rights, found):
    trust = found["AssumeRolePolicyDocument"]
    lines = [f"trust policy: {one}" for one in policies(expected["AssumeRolePolicyDocument"], _document(trust))]
    inline = {one["PolicyName"]: _document(one["PolicyDocument"]) for one in found.get("RolePolicyList") or []}
    lines += [f"policy {name} is not in the template" for name in sorted(set(inline) - set(rights))]
    for one in found.get("AttachedManagedPolicies") or []:
        lines.append(f"managed policy {one['PolicyArn']} is not in the template")
    for name, document in rights.items():
        lines += [f"policy {name}: {one}" for one in policies(document, inline.get(name))]
    if found.get("PermissionsBoundary"):
        lines.append(f"it has the permissions boundary {found['PermissionsBoundary'].get('PermissionsBoundaryArn')}")
    return lines


def _document(given):
    """A policy document. IAM's API encodes it; the CLI decodes some of them."""
    return json.loads(unquote(given)) if isinstance(given, str) else given


def functions(run):
    lines = []
    expected = run.deployed.of_type("AWS::Lambda::Function")
    found = together(*(_configuration(run, name) for name in expected))
    for (name, function), configuration in zip(expected.items(), found):
        physical = run.deployed.physical[name]
        where = f"function {name} ({physical})"
        wanted = {one: function[one] for one in ("Runtime", "Handler", "MemorySize", "Timeout", "Architectures", "Role")}
        wanted["LoggingConfig"] = function["LoggingConfig"]
        lines += [f"{where}: {one}. {REPAIR}" for one in differences(wanted, configuration)]
        variables = (configuration.get("Environment") or {}).get("Variables") or {}
        lines += [
            f"{where}: {one}. {REPAIR}" for one in exactly(function["Environment"]["Variables"], variables, "setting")
        ]
        if configuration.get("State", "Active") != "Active" or configuration.get("LastUpdateStatus", "Successful") != "Successful":
            lines.append(f"{where} is {configuration.get('State')}: {configuration.get('StateReason') or configuration.get('LastUpdateStatusReason')}")
    lines += _run_prefix(run)
    lines += _retries(run)
    expect(lines)
    return f"{len(expected)} functions"


def _configuration(run, name):
    return lambda: run.aws("lambda", "get-function-configuration", "--function-name", run.deployed.physical[name])


def _run_prefix(run):
    prefix = run.deployed.parameters["RunPrefix"]
    outputs = run.deployed.outputs.get("RunPrefix")
    return [] if prefix == outputs else [f"RunPrefix is {prefix}, and the stack's output is {outputs}"]


def _retries(run):
    lines = []
    for name, expected in run.deployed.of_type("AWS::Lambda::EventInvokeConfig").items():
        found = run.aws("lambda", "get-function-event-invoke-config", "--function-name", expected["FunctionName"], "--qualifier", "$LATEST")
        wanted = {one: expected[one] for one in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")}
        lines += [f"{name}, the retries of {expected['FunctionName']}: {one}. {REPAIR}" for one in differences(wanted, found)]
    return lines


def permissions(run):
    """Which services may invoke each function, and that no one else may."""
    wanted = {}
    for permission in run.deployed.of_type("AWS::Lambda::Permission").values():
        wanted.setdefault(permission["FunctionName"].rsplit(":", 1)[-1], set()).add(
            (permission["Principal"], permission["Action"], permission["SourceArn"])
        )
    found = together(*(_policy_of(run, function) for function in wanted))
    lines = []
    for (function, expected), document in zip(wanted.items(), found):
        present = {_permission(one) for one in document.get("Statement") or []}
        for principal, action, source in sorted(expected - present, key=str):
            lines.append(f"function {function}: {principal} has no permission for {action} from {source}. {REPAIR}")
        for principal, action, source in sorted(present - expected, key=str):
            lines.append(f"function {function}: {principal} has permission for {action} from {source}, which is not in the template. {REPAIR}")
    expect(lines)


def _policy_of(run, function):
    return lambda: json.loads(run.aws("lambda", "get-policy", "--function-name", function)["Policy"])


def _permission(statement):
    principal = statement["Principal"]
    principal = principal.get("Service") or principal.get("AWS") if isinstance(principal, dict) else principal
    conditions = statement.get("Condition") or {}
    sources = [value for operator in conditions.values() for name, value in operator.items() if name.lower() == "aws:sourcearn"]
    return principal, statement["Action"], sources[0] if len(sources) == 1 else json.dumps(conditions, sort_keys=True)


def routes(run):
    """Each route has its function and its authorizer, and there is no other route."""
    api = run.deployed.outputs["ApiId"]
    found, integrations = together(
        lambda: run.aws("apigatewayv2", "get-routes", "--api-id", api)["Items"],
        lambda: run.aws("apigatewayv2", "get-integrations", "--api-id", api)["Items"],
    )
    functions = {f"integrations/{one['IntegrationId']}": _function_in(one.get("IntegrationUri", "")) for one in integrations}
    present = {one["RouteKey"]: one for one in found}
    names = run.deployed.of_type("AWS::ApiGatewayV2::Integration")
    lines, expected = [], set()
    for name, route in run.deployed.of_type("AWS::ApiGatewayV2::Route").items():
        key = route["RouteKey"]
        expected.add(key)
        where = f"route {key} ({name})"
        if key not in present:
            lines.append(f"{where} is missing. {REPAIR}")
            continue
        one = present[key]
        wanted = {part: route[part] for part in ("AuthorizationType", "AuthorizerId") if part in route}
        lines += [f"{where}: {text}. {REPAIR}" for text in differences(wanted, one)]
        integration = route["Target"].split("/")[1]
        wanted = next((_function_in(it["IntegrationUri"]) for it_name, it in names.items() if run.deployed.physical[it_name] == integration), None)
        if functions.get(one.get("Target")) != wanted:
            lines.append(f"{where} invokes {functions.get(one.get('Target'))}, and must invoke {wanted}. {REPAIR}")
    lines += [f"route {key} is not in the template. {REPAIR}" for key in sorted(set(present) - expected)]
    expect(lines)
    return f"{len(expected)} routes"


def _function_in(uri):
    """The function of an integration's URI: its ARN, or an API Gateway path with the ARN."""
    return uri.split("/functions/")[-1].split("/invocations")[0].rsplit(":", 1)[-1]


def authorizer(run):
    api = run.deployed.outputs["ApiId"]
    found = {one["Name"]: one for one in run.aws("apigatewayv2", "get-authorizers", "--api-id", api)["Items"]}
    lines = []
    for name, expected in run.deployed.of_type("AWS::ApiGatewayV2::Authorizer").items():
        wanted = {part: value for part, value in expected.items() if part not in ("ApiId", "AuthorizerUri")}
        present = found.get(expected["Name"], {})
        lines += [f"authorizer {name}: {one}. {REPAIR}" for one in differences(wanted, present)]
        if _function_in(present.get("AuthorizerUri", "")) != _function_in(expected["AuthorizerUri"]):
            lines.append(f"authorizer {name} invokes {present.get('AuthorizerUri')}. {REPAIR}")
    expect(lines)


def stage(run):
    """Access logs, without headers, and the throttle."""
    api = run.deployed.outputs["ApiId"]
    found = {one["StageName"]: one for one in run.aws("apigatewayv2", "get-stages", "--api-id", api)["Items"]}
    lines = []
    for name, expected in run.deployed.of_type("AWS::ApiGatewayV2::Stage").items():
        present = found.get(expected["StageName"], {})
        where = f"stage {expected['StageName']} of API {api}"
        settings = present.get("AccessLogSettings") or {}
        if not settings.get("DestinationArn"):
            lines.append(
                f"{where} writes no access log: the template's log group is not its destination. The principal that "
                f"deploys needs the rights for log deliveries that docs/operations.md lists. {REPAIR}"
            )
        else:
            wanted = expected["AccessLogSettings"]
            group = [_log_group(one["DestinationArn"]) for one in (wanted, settings)]
            if group[0] != group[1]:
                lines.append(f"{where} logs to {group[1]}, and must log to {group[0]}. {REPAIR}")
            if wanted["Format"].split() != settings.get("Format", "").split():
                lines.append(f"{where} logs in another format, which can contain tokens. {REPAIR}")
        wanted = {one: expected[one] for one in ("AutoDeploy", "DefaultRouteSettings")}
        lines += [f"{where}: {one}. {REPAIR}" for one in differences(wanted, present)]
    expect(lines)


def _log_group(arn):
    return arn.removesuffix(":*") if hasattr(arn, "removesuffix") else arn


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


def alarm_settings(run):
    expected = run.deployed.of_type("AWS::CloudWatch::Alarm")
    found = {one["AlarmName"]: one for one in run.alarms()}
    lines = []
    for name, alarm in expected.items():
        present = found.get(run.deployed.physical[name])
        if present is None:
            lines.append(f"alarm {name} is missing. {REPAIR}")
            continue
        lines += [f"alarm {name}: {one}. {REPAIR}" for one in alarms(alarm, present)]
    expect(lines)
    topic = run.deployed.parameters.get("AlarmTopicArn")
    return f"{len(expected)} alarms" + ("" if topic else ", which notify no one: set AlarmTopicArn")


def table(run):
    """Keys, encryption, recovery, deletion protection and the expiry of old rows."""
    (name, expected), = run.deployed.of_type("AWS::DynamoDB::Table").items()
    physical = run.deployed.outputs["TableName"]
    described, expiry, backups = together(
        lambda: run.aws("dynamodb", "describe-table", "--table-name", physical)["Table"],
        lambda: run.aws("dynamodb", "describe-time-to-live", "--table-name", physical)["TimeToLiveDescription"],
        lambda: run.aws("dynamodb", "describe-continuous-backups", "--table-name", physical)["ContinuousBackupsDescription"],
    )
    where, lines = f"table {physical}", []
    attribute = expected["TimeToLiveSpecification"]["AttributeName"]
    if expiry.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING") or expiry.get("AttributeName") != attribute:
        lines.append(
            f"{where} has no time to live on {attribute}, so old rows stay: aws dynamodb update-time-to-live "
            f"--table-name {physical} --time-to-live-specification Enabled=true,AttributeName={attribute}"
        )
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    if recovery != "ENABLED":
        lines.append(f"{where} has no point-in-time recovery (it is {recovery}). {REPAIR}")
    encryption = described.get("SSEDescription") or {}
    if encryption.get("KMSMasterKeyArn") != expected["SSESpecification"]["KMSMasterKeyId"]:
        lines.append(f"{where} is encrypted with {encryption.get('KMSMasterKeyArn')}, and must be with {expected['SSESpecification']['KMSMasterKeyId']}. {REPAIR}")
    lines += [f"{where}: {one}. {REPAIR}" for one in differences({"KeySchema": expected["KeySchema"]}, described)]
    protected = str(described.get("DeletionProtectionEnabled", False)).lower()
    if protected != str(expected["DeletionProtectionEnabled"]).lower():
        lines.append(f"deletion protection of {where} is {protected}. {REPAIR}")
    indexes = {one["IndexName"]: one for one in described.get("GlobalSecondaryIndexes") or []}
    for index in expected["GlobalSecondaryIndexes"]:
        lines += [f"index {index['IndexName']} of {where}: {one}. {REPAIR}" for one in differences(index, indexes.get(index["IndexName"], {}))]
    expect(lines)


def logs(run):
    """Log groups keep the audit trail long enough, encrypted."""
    expected = run.deployed.of_type("AWS::Logs::LogGroup")
    prefix = os.path.commonprefix([run.deployed.physical[name] for name in expected])
    listed = run.pages("logs", "describe-log-groups", "logGroups", "--log-group-name-prefix", prefix)
    found = {one["logGroupName"]: one for one in listed}
    lines = []
    for name, group in expected.items():
        physical = run.deployed.physical[name]
        present = found.get(physical)
        if present is None:
            lines.append(f"log group {name} ({physical}) is missing. {REPAIR}")
            continue
        wanted = {"retentionInDays": group["RetentionInDays"], "kmsKeyId": group["KmsKeyId"]}
        lines += [f"log group {name} ({physical}): {one}. {REPAIR}" for one in differences(wanted, present)]
    expect(lines)
    return f"{len(expected)} log groups"


def bus(run):
    expected = run.deployed.of_type("AWS::Events::EventBus")
    for name in expected:
        run.aws("events", "describe-event-bus", "--name", run.deployed.physical[name])


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
        f"no trail of CloudTrail in {run.deployed.region} records {kinds} management events, including those of KMS: "
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
    Check("template", "the stack has this release's template", template, ()),
    Check("keys", "KMS keys: policies, rotation", keys, ()),
    Check("roles", "roles: rights as in the template, and no more", roles, ()),
    Check("functions", "functions: settings, run prefix, retries", functions, ()),
    Check("permissions", "which services may invoke the functions", permissions, ()),
    Check("routes", "routes: function and authorizer of each", routes, ()),
    Check("authorizer", "the authorizer of the API", authorizer, ()),
    Check("stage", "access logs and throttle of the API", stage, ()),
    Check("bus", "the event bus of runs", bus, ()),
    Check("rules", "event rules: state, pattern, target, dead letters", rules, ()),
    Check("queues", "queues: encryption, policies", queues, ()),
    Check("alarms", "alarms: metrics, dimensions, thresholds, topic", alarm_settings, ()),
    Check("table", "table: encryption, recovery, time to live", table, ()),
    Check("logs", "log groups: retention, encryption", logs, ()),
    Check("trail", "CloudTrail records what administrators do", trail, ()),
]
