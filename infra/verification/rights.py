"""Simulates the roles' policies: what each role must be able to do, and what none may do.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

import re

from .aws import Refused, together
from .checks import Check, NotTried, expect

# Calls that no role may make: actions, resources, and the partition of the table.
FORBIDDEN = (
    [
        "secretsmanager:GetSecretValue", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Scan", "kms:Decrypt",
        "kms:PutKeyPolicy", "lambda:UpdateFunctionCode", "iam:PutRolePolicy",
    ],
    ("copy", "table", "envelope key", "function", "role"),
    "AUDIT#WS#1#2026-01",
)
# Only identity may write the rows that confer a role or an identity.
IDENTITY_ONLY = ((["dynamodb:PutItem"], ("table",), "MEMBERS#1"), (["dynamodb:PutItem"], ("table",), "TOKEN#1"))
ALLOWED = "allowed"
LEADING_KEYS = "dynamodb:LeadingKeys"


def rights(run):
    """Each statement of the template allows its actions, with service control policies and boundaries."""
    lines, count = [], 0
    asked = [(name, arn, one) for name, arn, statements in _roles(run) for one in grouped(statements)]
    for (name, arn, (context, wanted)), decisions in zip(asked, _simulate(run, [(arn, *_question(one)) for _, arn, one in asked])):
        for sid, action, resource in wanted:
            count += 1
            decision = decisions.get((action.lower(), resource), "not simulated")
            if decision != ALLOWED:
                lines.append(
                    f"role {name} ({arn.rsplit('/', 1)[-1]}) may not call {action} on {resource} (statement {sid}): {decision}. "
                    "Deploy again to restore its policy; a service control policy can also be the cause"
                )
    expect(lines)
    return f"{count} rights"


def limits(run):
    """No role may read copies, open values alone, change audit records, rights or code."""
    lines, count = [], 0
    asked = []
    for name, arn, _ in _roles(run):
        for actions, kinds, partition in [FORBIDDEN, *(() if name == "IdentityRole" else IDENTITY_ONLY)]:
            asked.append((name, arn, actions, [_resource(run, kind) for kind in kinds], {LEADING_KEYS: [partition]}))
    for (name, arn, _, _, context), decisions in zip(asked, _simulate(run, [one[1:] for one in asked])):
        count += len(decisions)
        for (action, resource), decision in decisions.items():
            if decision == ALLOWED:
                rows = f" for rows {context[LEADING_KEYS][0]}" if action.startswith("dynamodb:") else ""
                lines.append(f"role {name} ({arn.rsplit('/', 1)[-1]}) may call {action} on {resource}{rows}, and must not. Remove the policy that allows it")
    expect(lines)
    return f"{count} calls"


def _roles(run):
    """Each role: its logical name, its ARN, and its statements."""
    statements = {}
    for policy in run.deployed.of_type("AWS::IAM::Policy").values():
        for role in policy["Roles"]:
            statements.setdefault(role, []).extend(policy["PolicyDocument"]["Statement"])
    for name in run.deployed.of_type("AWS::IAM::Role"):
        yield name, run.deployed.resolve({"Fn::GetAtt": [name, "Arn"]}), statements.get(run.deployed.physical[name], [])


def grouped(statements):
    """Groups the rights of a role that one simulation shows, because one context fits them all.

    Returns [(context, [(sid, action, resource)])]. A context has one partition of the table.
    """
    groups = []
    for statement in statements:
        if statement["Effect"] != "Allow":
            continue
        context = context_of(statement)
        account = context.get("aws:ResourceAccount", ["111122223333"])[0]
        wanted = [(statement["Sid"], action, example(one, account)) for action in _listed(statement["Action"]) for one in _listed(statement["Resource"])]
        for index, (shared, members) in enumerate(groups):
            if (merged := _merged(shared, context)) is not None:
                groups[index] = (merged, members + wanted)
                break
        else:
            groups.append((context, wanted))
    return groups


def _merged(one, other):
    """The context that fits both, or None: partitions are alternatives, other values are not."""
    merged = {**one, **other}
    for key in one.keys() & other.keys():
        if key == LEADING_KEYS:
            merged[key] = [value for value in one[key] if value in other[key]]
        if not merged[key] or (key != LEADING_KEYS and one[key] != other[key]):
            return None
    return merged


def _question(group):
    context, wanted = group
    context = {key: values[:1] if key == LEADING_KEYS else values for key, values in context.items()}
    return sorted({action for _, action, _ in wanted}), sorted({resource for _, _, resource in wanted}), context


def _listed(value):
    return value if isinstance(value, list) else [value]


def example(pattern, account=""):
    """A text that a pattern of a policy matches. In an ARN of any account, it is this one."""
    return pattern if pattern == "*" else str(pattern).replace("::*:", f"::{account}:").replace("*", "1")


def context_of(statement):
    """Condition keys with which a statement applies. Values that are alternatives are one value."""
    return {
        key: [example(value) for value in _listed(values)][: None if operator.startswith("ForA") else 1]
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, values in keys.items()
    }


def _resource(run, kind):
    deployed = run.deployed
    return {
        "copy": deployed.arn("secretsmanager", f"secret:tower-{deployed.parameters['RunPrefix']}0000000000-AbCdEf"),
        "envelope key": deployed.resolve({"Fn::GetAtt": ["EnvelopeKey", "Arn"]}),
        "function": deployed.arn("lambda", f"function:{deployed.outputs['LaunchRunFunction']}"),
        "role": deployed.outputs["LaunchRunRoleArn"],
        "table": deployed.arn("dynamodb", f"table/{deployed.outputs['TableName']}"),
    }[kind]


def _simulate(run, questions):
    """Returns {(action in lower case, resource): decision} for each question."""
    try:
        answers = together(*(_simulation(run, *question) for question in questions))
    except Refused as refused:
        if refused.is_denial():
            raise NotTried(f"your credentials may not simulate policies: {refused}") from None
        raise
    return [{key: value for one in answer["EvaluationResults"] for key, value in _decisions(one)} for answer in answers]


def _decisions(result):
    action = result["EvalActionName"].lower()
    if result.get("EvalResourceName"):
        yield (action, result["EvalResourceName"]), result["EvalDecision"]
    for one in result.get("ResourceSpecificResults") or []:
        yield (action, one["EvalResourceName"]), one["EvalResourceDecision"]


def _simulation(run, role, actions, resources, context):
    entries = [
        f"ContextKeyName={key},ContextKeyValues={','.join(map(_quoted, values))},ContextKeyType=string{'List' if len(values) > 1 else ''}"
        for key, values in sorted(context.items())
    ]
    return lambda: run.aws(
        "iam", "simulate-principal-policy", "--policy-source-arn", role, "--resource-arns", *resources, "--action-names", *actions,
        *(["--context-entries", *entries] if entries else []),
    )


def _quoted(text):
    return f'"{text}"' if re.search(r"[,= ]", text) else text


CHECKS = [
    Check("rights", "each role may do what it must (IAM simulates it)", rights, ()),
    Check("limits", "no role may do more (IAM simulates it)", limits, ()),
]
