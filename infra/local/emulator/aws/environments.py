"""Other accounts and regions: events from a rule to a bus elsewhere, and session tags.

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

log = logging.getLogger(__name__)


def install():
    _accept_whole_policies()
    _forward_to_other_scopes()
    _provision_bus_policies()
    _ask_for_the_right_to_tag_sessions()


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
    return any(
        statement.get("Effect") == "Allow"
        and iam_evaluator._principal_matches(statement.get("Principal"), context.principal_arn)
        and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
        for statement in policy.get("Statement", [])
    )


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


def _ask_for_the_right_to_tag_sessions():
    """A caller that passes session tags also needs `sts:TagSession`. ministack asks only the trust policy.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
    """
    known = iam_evaluator.enforce

    def enforce(key, action, service, region, resource_arn="*", service_context=None):
        options = {"resource_arn": resource_arn, "service_context": service_context}
        denied = known(key, action, service, region, **options)
        tagged = any(name.lower().startswith("aws:requesttag/") for name in service_context or {})
        if denied is None and action == "sts:AssumeRole" and tagged:
            return known(key, "sts:TagSession", service, region, **options)
        return denied

    iam_evaluator.enforce = enforce
