"""IAM: sizes and grammar of a role's policies, and the condition keys of the other modules.

infra/checks/run checks whether actions, resources and condition keys exist and match.
"""

import json
import re
from html import escape

from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import iam

from .calls import Refused, answer, check, conditions, resource
from .dynamodb import ItemArn
from .lambda_ import condition_keys_of

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
LONGEST_INLINE = 10_240  # characters of all inline policies of a role, without white space
LONGEST_TRUST = 2_048  # characters of a trust policy, without white space
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
OPERATOR = re.compile(
    r"(For(All|Any)Values?:)?"
    r"(String(Not)?Equals(IgnoreCase)?|String(Not)?Like|Numeric(Not)?Equals|Numeric(Less|Greater)Than(Equals)?"
    r"|Date(Not)?Equals|Date(Less|Greater)Than(Equals)?|Bool|BinaryEquals|(Not)?IpAddress"
    r"|Arn(Not)?(Equals|Like)|Null)(IfExists)?"
)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html
SID = re.compile(r"[A-Za-z0-9]*")
DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny"}


def install():
    check("iam", _refuse)
    answer("iam", "SimulatePrincipalPolicy", _simulate)
    resource("AWS::IAM::Policy", _refuse_policy_of_a_stack)
    resource("AWS::IAM::Role", _refuse_role_of_a_stack)
    _add_condition_keys()


def _refuse(call):
    if call.operation == "PutRolePolicy":
        document = _document(call.data.get("PolicyDocument"))
        _refuse_document(document)
        _refuse_size(call.data.get("RoleName"), call.data.get("PolicyName"), document)
    if call.operation in ("CreateRole", "UpdateAssumeRolePolicy"):
        _refuse_trust(call.data.get("AssumeRolePolicyDocument") or call.data.get("PolicyDocument") or "")


def _refuse_policy_of_a_stack(properties):
    _refuse_document(properties["PolicyDocument"])
    for role in properties.get("Roles") or []:
        _refuse_size(role, properties["PolicyName"], properties["PolicyDocument"])


def _refuse_role_of_a_stack(properties):
    _refuse_trust(properties["AssumeRolePolicyDocument"])
    for policy in properties.get("Policies") or []:
        _refuse_document(policy["PolicyDocument"])
    size = sum(_size(policy["PolicyDocument"]) for policy in properties.get("Policies") or [])
    _refuse_over(size)


def _document(text):
    try:
        return json.loads(text or "")
    except ValueError:
        return {}  # the emulator refuses the call


def _refuse_document(document):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html"""
    statements = document.get("Statement") or []
    statements = statements if isinstance(statements, list) else [statements]
    names = [one["Sid"] for one in statements if one.get("Sid")]
    if len(names) != len(set(names)):
        raise Refused("MalformedPolicyDocument", "Statement IDs (SID) in a single policy must be unique.")
    for statement in statements:
        if not SID.fullmatch(statement.get("Sid", "")):
            raise Refused("MalformedPolicyDocument", "Statement IDs (SID) must be alpha-numeric.")
        if {"Principal", "NotPrincipal"} & set(statement):
            raise Refused("MalformedPolicyDocument", "Policy document should not specify a principal.")
        if wrong := [one for one in statement.get("Condition") or {} if not OPERATOR.fullmatch(one)]:
            raise Refused("MalformedPolicyDocument", f"Invalid Condition type : {wrong[0]}.")


def _refuse_size(role, name, document):
    others = (iam._roles.get(role) or {}).get("InlinePolicies") or {}
    _refuse_over(_size(document) + sum(_size(one) for other, one in others.items() if other != name))


def _refuse_over(size):
    if size > LONGEST_INLINE:
        raise Refused("LimitExceeded", f"Maximum policy size of {LONGEST_INLINE} bytes exceeded for role", 409)


def _refuse_trust(document):
    if _size(document) > LONGEST_TRUST:
        raise Refused("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {LONGEST_TRUST}", 409)


def _size(document):
    text = document if isinstance(document, str) else json.dumps(document)
    return len("".join(text.split()))


def allows_service(policy, service, action, resource_arn, keys):
    """Whether a resource policy allows an AWS service this action with these condition keys."""
    call = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=responses.get_region(),
        service_context={name.lower(): value for name, value in keys.items()},
    )
    return iam_evaluator.evaluate_resource_policy(policy, call, service=service).decision == "Allow"


def _simulate(call):
    """SimulatePrincipalPolicy of a role: each action on each resource, with the context entries.

    The emulator ignores context entries and all resources but the first.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    principal = call.data.get("PolicySourceArn", "")
    kind, _, name = principal.rsplit(":", 1)[-1].partition("/")
    if kind != "role":
        return None
    account, role = responses.get_account_id(), name.rsplit("/", 1)[-1]
    if role not in iam._roles:
        return responses.error_response_xml("NoSuchEntity", f"The role with name {role} cannot be found.", 404)
    policies, context = iam_evaluator._gather_role_policies(role, account), _context_entries(call.data)
    results = ""
    for action in _members(call.data, "ActionNames"):
        for resource_arn in _members(call.data, "ResourceArns") or ["*"]:
            asked = iam_evaluator.EvalContext(
                principal_arn=principal,
                principal_type="AssumedRole",
                principal_account=account,
                action=action,
                resource_arn=resource_arn,
                region=responses.get_region(),
                service_context=context,
            )
            decision = DECISIONS.get(iam_evaluator.evaluate(asked, policies).decision, "implicitDeny")
            results += (
                f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{escape(resource_arn)}</EvalResourceName>"
                f"<EvalDecision>{decision}</EvalDecision></member>"
            )
    result = f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
    return iam._xml(200, "SimulatePrincipalPolicyResponse", f"<SimulatePrincipalPolicyResult>{result}</SimulatePrincipalPolicyResult>", ns="iam")


def _members(data, name):
    """A list of the query protocol."""
    found = []
    while (value := data.get(f"{name}.member.{len(found) + 1}")) is not None:
        found.append(value)
    return found


def _context_entries(data):
    entries, index = {}, 1
    while name := data.get(f"ContextEntries.member.{index}.ContextKeyName"):
        values = _members(data, f"ContextEntries.member.{index}.ContextKeyValues")
        several = (data.get(f"ContextEntries.member.{index}.ContextKeyType") or "").endswith("List")
        entries[name.lower()] = values if several else (values or [""])[0]
        index += 1
    return entries


def _add_condition_keys():
    known_context, known_enforce = iam_actions.request_tag_context, iam_evaluator.enforce

    def request_tag_context(service, action, body, params):
        return {**known_context(service, action, body, params), **conditions(service, body)}

    def enforce(key, action, service, region, resource_arn="*", service_context=None):
        service_context = {**(service_context or {}), **condition_keys_of(key)}
        if isinstance(resource_arn, ItemArn):
            service_context |= resource_arn.context
            resource_arn = str(resource_arn)
        return known_enforce(key, action, service, region, resource_arn=resource_arn, service_context=service_context)

    iam_actions.request_tag_context = request_tag_context
    iam_evaluator.enforce = enforce
