"""Other accounts and regions: events from a rule to a bus elsewhere.

ministack keeps the resources of each account and region apart, but drops an event whose target is a
bus elsewhere. Here the event arrives if the policy of the bus allows the account of the rule. Its
`account` and `region` stay those of its origin, and it goes no further:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html
"""

import json
import logging

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners

from . import shapes
from .calls import Refused, check, resource

log = logging.getLogger(__name__)
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html
LONGEST_POLICY = 10 * 1024  # bytes
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
PARTS = ("Effect", "Principal", "Action", "Resource")


def install():
    _accept_whole_policies()
    _forward_to_other_scopes()
    _provision_bus_policies()
    check("events", _refuse_permission)
    resource("AWS::Events::EventBusPolicy", _refuse_policy_of_a_stack)


def _accept_whole_policies():
    """`Policy` replaces the policy of the bus. ministack ignores it and allows every account.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html
    """
    known = eventbridge._put_permission

    def put_permission(data):
        if not data.get("Policy"):
            return known(data)
        eventbridge._event_bus_policies[data.get("EventBusName", "default")] = json.loads(data["Policy"])
        return eventbridge.json_response({})

    eventbridge._put_permission = put_permission


def _forward_to_other_scopes():
    known = eventbridge._dispatch_to_event_bus

    def dispatch(spec, event, rule, event_path, target_input_payload=None):
        sender = get_account_id()
        if (spec.account_id, spec.region) == (sender, get_region()):
            return known(spec, event, rule, event_path, target_input_payload)
        if event.get("Account") != sender:
            log.warning("an event of another account is not forwarded to a third one")
            return None
        bus = spec.resource.split("/", 1)[1]
        with request_scope(spec.account_id, spec.region):
            if bus not in eventbridge._event_buses or not _lets_in(bus, sender, event, rule):
                log.warning("bus %s lets no event of %s in", spec, sender)
                return None
            eventbridge._dispatch_event({**event, "EventBusName": bus})
        return None

    eventbridge._dispatch_to_event_bus = dispatch


def _lets_in(bus, sender, event, rule):
    policy = eventbridge._event_bus_policies.get(bus) or {}
    owner, region = get_account_id(), get_region()
    if sender == owner:
        return True
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{sender}:root",
        principal_type="Root",
        principal_account=sender,
        action="events:PutEvents",
        resource_arn=f"arn:aws:events:{region}:{owner}:event-bus/{bus}",
        region=region,
        service_context={
            "events:source": event["Source"],
            "events:detail-type": event["DetailType"],
            "events:eventbusinvocation": "true",
            "aws:sourcearn": rule.get("Arn"),
        },
    )
    return iam_evaluator.evaluate_resource_policy(policy, context).decision == "Allow"


def _provision_bus_policies():
    def create(logical_id, props, stack_name):
        bus, sid = props.get("EventBusName", "default"), props["StatementId"]
        policy = eventbridge._event_bus_policies.setdefault(bus, {"Version": "2012-10-17", "Statement": []})
        policy["Statement"] = [one for one in policy["Statement"] if one.get("Sid") != sid]
        policy["Statement"].append({**props["Statement"], "Sid": sid})
        return f"{bus}|{sid}", {}

    def delete(physical_id, props):
        bus, sid = physical_id.split("|")
        eventbridge._remove_permission({"EventBusName": bus, "StatementId": sid})

    def update(physical_id, old_props, new_props, stack_name):
        return create(None, new_props, stack_name)

    handlers = {"create": create, "update": update, "delete": delete}
    provisioners._RESOURCE_HANDLERS["AWS::Events::EventBusPolicy"] = handlers


def _refuse_permission(call):
    if call.operation == "PutPermission":
        policy = call.data.get("Policy")
        try:
            statements = json.loads(policy)["Statement"] if policy else []
        except (ValueError, KeyError, TypeError):
            raise Refused("ValidationException", "Parameter Policy is not valid.") from None
        _refuse_statements(call.data.get("EventBusName", "default"), statements)


def _refuse_policy_of_a_stack(properties):
    named = {name: properties[name] for name in ("EventBusName", "StatementId") if name in properties}
    shapes.check("events", "PutPermission", named, Refused)
    statement = properties.get("Statement")
    if not named.get("StatementId") or not statement:
        raise Refused("ValidationException", "A policy of a bus needs StatementId and Statement.")
    bus = named.get("EventBusName", "default")
    kept = (eventbridge._event_bus_policies.get(bus) or {}).get("Statement", [])
    _refuse_statements(bus, [*(one for one in kept if one.get("Sid") != named["StatementId"]), statement])


def _refuse_statements(bus, statements):
    if bus != "default" and bus not in eventbridge._event_buses:
        raise Refused("ResourceNotFoundException", f"Event bus {bus} does not exist.")
    for one in statements:
        missing = [part for part in PARTS if not one.get(part)]
        if missing:
            raise Refused("ValidationException", f"A statement of a policy has no {missing[0]}.")
    if len(json.dumps(statements, separators=(",", ":"))) > LONGEST_POLICY:
        raise Refused("PolicyLengthExceededException", "The policy is longer than 10 KB.")
