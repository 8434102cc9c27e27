"""DynamoDB: the partition keys and attributes in policy conditions, two limits, and three settings of
a template's table.

The emulator does not have these.
"""

import re

from ministack.core import iam_actions
from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from .calls import Refused, check, context, parsed

MOST_IN_OPERANDS = 100
_OPERANDS = re.compile(r"\bIN\s*\(([^()]*)\)", re.IGNORECASE)


def install():
    check("dynamodb", _refuse)
    context("dynamodb", _request_context)
    _add_select_of_batches()
    _authorize_each_item()
    _apply_settings_of_tables()


def _refuse(call):
    if legacy := sorted(LEGACY & set(call.data)):
        # Conditions would have to cover their attributes too, and no code here sends them.
        raise Refused("ValidationException", f"Legacy parameters are not emulated: {', '.join(legacy)}.")
    for name in ("ConditionExpression", "FilterExpression"):
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
        if any(found[1].count(",") >= MOST_IN_OPERANDS for found in _OPERANDS.finditer(call.data.get(name) or "")):
            raise Refused("ValidationException", f"Invalid {name}: IN takes 100 values at most.")
    if call.operation == "UpdateTimeToLive":
        _refuse_time_to_live(call.data)


def _refuse_time_to_live(data):
    """Time to live cannot be enabled twice.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
    """
    wanted = data.get("TimeToLiveSpecification") or {}
    present = dynamodb._ttl_settings.get(data.get("TableName")) or {}
    if wanted.get("Enabled") and present.get("TimeToLiveStatus") == "ENABLED":
        raise Refused("ValidationException", "TimeToLive is already enabled")


def _apply_settings_of_tables():
    """Encryption, time to live and point-in-time recovery of a template's table.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
    """
    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    known_create, known_update = handlers["create"], handlers["update"]

    def apply(name, properties):
        if encryption := properties.get("SSESpecification"):
            given = {"Enabled": encryption.get("SSEEnabled"), **encryption}
            dynamodb._tables[name]["SSEDescription"] = dynamodb._sse_description_from_spec(given)
        expiry = properties.get("TimeToLiveSpecification")
        if expiry and (dynamodb._ttl_settings.get(name) or {}).get("TimeToLiveStatus") != "ENABLED":
            dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": expiry})
        if recovery := properties.get("PointInTimeRecoverySpecification"):
            dynamodb._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": recovery})

    def create(logical_id, properties, stack_name):
        created = known_create(logical_id, properties, stack_name)
        apply(created[0], properties)
        return created

    def update(physical_id, old, new, *rest):
        updated = known_update(physical_id, old, new, *rest)
        apply(updated[0], new)
        return updated

    handlers.update(create=create, update=update)


class ItemArn(str):
    """A table's ARN with the condition keys of a transaction's item."""

    context = {}


def _authorize_each_item():
    """Authorizes each item of a transaction as its action, with the keys of all items of the action.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html does
    not say whether each item is evaluated alone. A policy that allows all items of an action
    together also allows each of them alone.
    """
    known = iam_actions.dynamodb_transaction_checks

    def checks_of(action, body, region, account):
        checks = known(action, body, region, account)
        members = [
            (member, detail)
            for item in parsed(body).get("TransactItems") or []
            for member, detail in item.items()
            if member in iam_actions._DYNAMODB_TRANSACT_ITEM_ACTIONS
        ]
        if len(members) != len(checks):
            return checks  # malformed: the handler refuses the call
        items = {}
        for (item_action, _), (_, detail) in zip(checks, members, strict=True):
            items.setdefault(item_action, []).append(detail)
        contexts = {item_action: _context_of(details) for item_action, details in items.items()}
        return [(item_action, _with_context(arn, contexts[item_action])) for item_action, arn in checks]

    iam_actions.dynamodb_transaction_checks = checks_of


def _request_context(data):
    """The condition keys of a request for one table. A query of an index has its leading key.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    leading, attributes = _leading_keys(data), _attributes(data)
    found = {"dynamodb:LeadingKeys": leading, "dynamodb:Attributes": attributes}
    found = {name: values for name, values in found.items() if values}
    if data.get("ReturnValues"):
        found["dynamodb:ReturnValues"] = data["ReturnValues"]
    return found


def _add_select_of_batches():
    """`dynamodb:Select` of BatchGetItem, whose projections belong to its tables."""
    known = iam_actions.dynamodb_service_context

    def service_context(body):
        found = known(body)
        reads = [one for one in (parsed(body).get("RequestItems") or {}).values() if isinstance(one, dict)]
        if reads and all(one.get("ProjectionExpression") for one in reads):
            found["dynamodb:Select"] = "SPECIFIC_ATTRIBUTES"
        return found

    iam_actions.dynamodb_service_context = service_context


def _context_of(details):
    contexts = [_request_context(detail) for detail in details]
    names = {name for one in contexts for name in one}
    return {name: [value for one in contexts for value in one.get(name) or []] for name in names}


def _with_context(arn, found):
    marked = ItemArn(arn)
    marked.context = found
    return marked


# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
_WORDS = {
    "add", "and", "attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "between", "contains",
    "delete", "if_not_exists", "in", "list_append", "not", "or", "remove", "set", "size",
}
_PATH = re.compile(r"(?<![\w:#.\]])(?:#\w+|[A-Za-z_]\w*)")
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/LegacyConditionalParameters.html
LEGACY = {
    "AttributeUpdates", "AttributesToGet", "ConditionalOperator", "Expected", "KeyConditions", "QueryFilter", "ScanFilter",
}


def _attributes(data):
    """`dynamodb:Attributes`: the top-level attributes of the key, the item and every expression."""
    names = data.get("ExpressionAttributeNames") or {}
    found = {*(data.get("Key") or {}), *(data.get("Item") or {})}
    for read in (data.get("RequestItems") or {}).values():
        if isinstance(read, dict):
            found.update(name for key in read.get("Keys") or [] for name in key)
            found.update(_attributes({name: value for name, value in read.items() if name != "Keys"}))
    for name in ("UpdateExpression", "ConditionExpression", "ProjectionExpression"):
        for word in _PATH.findall(data.get(name) or ""):
            if word.lower() not in _WORDS:
                found.add(names.get(word, word))
    return sorted(found)


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
    expression = data["KeyConditionExpression"]
    equalities = re.findall(r"([#\w.]+)\s*=\s*(:\w+)", expression)
    equalities += [(attribute, value) for value, attribute in re.findall(r"(:\w+)\s*=\s*([#\w.]+)", expression)]
    return [
        str(value)
        for attribute, placeholder in equalities
        if names.get(attribute, attribute) == name
        for value in (values.get(placeholder) or {}).values()
    ]


def _hash_name(table, index=None):
    table = (table or "").rsplit("/", 1)[-1]
    described = dynamodb._tables.get(table) or {}
    if index:
        described = next((i for i in described.get("GlobalSecondaryIndexes") or [] if i.get("IndexName") == index), {})
    return next((k["AttributeName"] for k in described.get("KeySchema") or [] if k.get("KeyType") == "HASH"), None)
