"""Compares what is deployed with the template."""

import json
import os
from urllib.parse import unquote

from .aws import together
from .checks import REPAIR, Check, Wrong, expect
from .compare import alarms, differences, exactly, policies


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


def environments(run):
    """Roles in accounts that are no longer allowed cannot be assumed: copies would stay there."""
    allowed = run.deployed.resolve({"Ref": "ComputeAccounts"})
    rows = run.pages(
        "dynamodb", "query", "Items", "--table-name", run.deployed.outputs["TableName"], "--consistent-read",
        "--key-condition-expression", "pk = :pk", "--expression-attribute-values", '{":pk": {"S": "ENVIRONMENTS"}}',
    )
    registered = [row for row in rows if "ttl" not in row]  # the list keeps deleted ones until their runs are over
    lines = []
    for row in registered:
        account = row["role"]["S"].split(":")[4]
        if account not in allowed:
            lines.append(
                f"compute environment {row['sk']['S']} of workspace {row['workspace']['N']} is in account {account}, which is not in "
                "ComputeAccounts: its runs cannot be launched or cleaned up. Deploy with this account, or delete the environment"
            )
    expect(lines)
    return f"{len(registered)} registered"


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
    for name, expected in run.deployed.of_type("AWS::Logs::MetricFilter").items():
        listed = run.pages("logs", "describe-metric-filters", "metricFilters", "--log-group-name", expected["LogGroupName"])
        present = next((one for one in listed if one["filterName"] == run.deployed.physical[name]), {})
        wanted = {"filterPattern": expected["FilterPattern"]}
        wanted["metricTransformations"] = [
            {part: one[part] for part in ("MetricNamespace", "MetricName", "MetricValue")} for one in expected["MetricTransformations"]
        ]
        lines += [f"metric filter {name}: {one}. {REPAIR}" for one in differences(wanted, present)]
    expect(lines)
    return f"{len(expected)} log groups"


CHECKS = [
    Check("template", "the stack has this release's template", template, ()),
    Check("keys", "KMS keys: policies, rotation", keys, ()),
    Check("roles", "roles: rights as in the template, and no more", roles, ()),
    Check("functions", "functions: settings, run prefix, retries", functions, ()),
    Check("permissions", "which services may invoke the functions", permissions, ()),
    Check("alarms", "alarms: metrics, dimensions, thresholds, topic", alarm_settings, ()),
    Check("table", "table: encryption, recovery, time to live", table, ()),
    Check("environments", "compute environments: their accounts are allowed", environments, ()),
    Check("logs", "log groups: retention, encryption, metric filters", logs, ()),
]
