import json
import os

import boto3

TABLE = os.environ["TABLE_NAME"]
DYNAMODB = boto3.client("dynamodb")


def answer(status, body):
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}


def member(workspace, user):
    """The key of a membership's row."""
    return {"pk": {"S": f"MEMBERS#{workspace}"}, "sk": {"S": f"MEMBER#{user}"}}


def role(workspace, user):
    """The caller's role in the workspace."""
    key = member(workspace, user)
    row = DYNAMODB.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item", {})
    return row.get("role", {}).get("S")
