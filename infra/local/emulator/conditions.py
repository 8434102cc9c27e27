"""IAM condition keys that our policies use and the emulator does not know.

`kms:EncryptionContext:*`, `dynamodb:LeadingKeys`, `secretsmanager:ResourceTag/*` and `events:source`. As on AWS, the items
of a DynamoDB transaction are authorized one by one, each with its own leading key, and a query of an index with the
index's.
"""

import json
import re

from ministack.core import iam_actions, iam_evaluator


class ItemArn(str):
    """A table's ARN that remembers which partition one item of a transaction is in."""

    leading = ()


def install():
    known_context = iam_actions.request_tag_context
    known_checks = iam_actions.dynamodb_transaction_checks
    known_enforce = iam_evaluator.enforce

    def request_tag_context(service, action, body, params):
        return {**known_context(service, action, body, params), **_context(service, _parsed(body))}

    def dynamodb_transaction_checks(action, body, region, account):
        checks = known_checks(action, body, region, account)
        members = [
            (member, detail)
            for item in _parsed(body).get("TransactItems") or []
            for member, detail in item.items()
            if member in iam_actions._DYNAMODB_TRANSACT_ITEM_ACTIONS
        ]
        if len(members) != len(checks):
            return checks  # malformed: the handler refuses it
        return [
            (item_action, _with_leading(arn, detail))
            for (item_action, arn), (_, detail) in zip(checks, members, strict=True)
        ]

    def enforce(key, action, service, region, resource_arn="*", service_context=None):
        if isinstance(resource_arn, ItemArn):
            service_context = {**(service_context or {}), "dynamodb:LeadingKeys": list(resource_arn.leading)}
            resource_arn = str(resource_arn)
        return known_enforce(key, action, service, region, resource_arn=resource_arn, service_context=service_context)

    iam_actions.request_tag_context = request_tag_context
    iam_actions.dynamodb_transaction_checks = dynamodb_transaction_checks
    iam_evaluator.enforce = enforce


def _parsed(body):
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _context(service, data):
    if service == "kms":
        pairs = data.get("EncryptionContext") or {}
        return {f"kms:EncryptionContext:{name}": value for name, value in pairs.items()}
    if service == "dynamodb":
        leading = _leading_keys(data)
        return {"dynamodb:LeadingKeys": leading} if leading else {}
    if service == "secretsmanager" and data.get("SecretId"):
        return {f"secretsmanager:ResourceTag/{name}": value for name, value in _tags_of(data["SecretId"])}
    if service == "events" and isinstance(data.get("Entries"), list):
        sources = {entry.get("Source", "") for entry in data["Entries"] if isinstance(entry, dict)}
        # Entries are authorized one by one: one of a foreign source refuses the call.
        return {"events:source": next(iter(sources)) if len(sources) == 1 else " ".join(sorted(sources))}
    return {}


def _tags_of(secret_id):
    from ministack.services import secretsmanager

    _, secret = secretsmanager._resolve(secret_id)
    return [(tag["Key"], tag["Value"]) for tag in (secret or {}).get("Tags") or []]


def _with_leading(arn, detail):
    marked = ItemArn(arn)
    marked.leading = tuple(_key_values(detail.get("TableName"), [detail.get("Key") or detail.get("Item")]))
    return marked


def _leading_keys(data):
    table = data.get("TableName")
    if data.get("KeyConditionExpression"):
        return _query_values(data, _hash_name(table, data.get("IndexName")))
    keys = _key_values(table, [data.get("Key"), data.get("Item")])
    for name, requests in (data.get("RequestItems") or {}).items():
        keys += _key_values(name, requests.get("Keys") or [] if isinstance(requests, dict) else _written_keys(requests))
    return keys


def _written_keys(requests):
    return [detail.get("Key") or detail.get("Item") for request in requests for detail in request.values()]


def _key_values(table, keys):
    name = _hash_name(table)
    found = [(key or {}).get(name) for key in keys]
    return [str(value) for typed in found if isinstance(typed, dict) for value in typed.values()]


def _query_values(data, name):
    names, values = data.get("ExpressionAttributeNames") or {}, data.get("ExpressionAttributeValues") or {}
    equalities = re.findall(r"([#\w.]+)\s*=\s*(:\w+)", data["KeyConditionExpression"])
    return [
        str(value)
        for attribute, placeholder in equalities
        if names.get(attribute, attribute) == name
        for value in (values.get(placeholder) or {}).values()
    ]


def _hash_name(table, index=None):
    from ministack.services import dynamodb

    table = (table or "").rsplit("/", 1)[-1]
    described = dynamodb._tables.get(table) or {}
    if index:
        described = next((i for i in described.get("GlobalSecondaryIndexes") or [] if i.get("IndexName") == index), {})
    return next((k["AttributeName"] for k in described.get("KeySchema") or [] if k.get("KeyType") == "HASH"), None)
