import json
import os

import boto3

TABLE = os.environ["TABLE_NAME"]
DYNAMODB = boto3.client("dynamodb")


def answer(status, body):
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}


def role(scope, user):
    """The caller's role in the workspace."""
    key = {"pk": {"S": scope}, "sk": {"S": f"MEMBER#{user}"}}
    row = DYNAMODB.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item", {})
    return row.get("role", {}).get("S")
