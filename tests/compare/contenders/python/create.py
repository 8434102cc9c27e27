import json
import os
import re
import secrets
from datetime import datetime, timezone

import boto3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared import DYNAMODB, TABLE, answer, member, role

KMS = boto3.client("kms")
KEY = os.environ["ENVELOPE_KEY_ARN"]
DEPLOYMENT = os.environ["DEPLOYMENT"]
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{1,99}\Z", re.ASCII)


def seal(value, context, plain, encrypted):
    """Format 1 of docs/envelope.md."""
    derived = HKDF(algorithm=SHA512(), length=64, salt=None, info=b"pipeline-secrets/envelope/1").derive(plain)
    header = bytes([1, 1])
    parts = [part.encode() for pair in sorted(context.items()) for part in pair]
    additional = header + b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    text = value.encode()
    padded = text.ljust(-(-len(text) // 256) * 256, b"\0")
    nonce = os.urandom(12)
    body = AESGCM(derived[:32]).encrypt(nonce, padded, additional)
    return header + len(encrypted).to_bytes(2, "big") + encrypted + derived[32:] + nonce + body


def handler(event, _context):
    user = event["requestContext"]["authorizer"]["lambda"]["userId"]
    workspace = event["queryStringParameters"]["workspaceId"]
    scope = f"WS#{workspace}"
    partition = f"SECRETS#{scope}"
    body = json.loads(event["body"])
    name, value = body["name"], body["value"]
    if not NAME.match(name) or not isinstance(value, str) or not value or "\0" in value:
        return answer(400, {"message": "Invalid secret"})
    if role(workspace, user) not in ("owner", "admin"):
        return answer(403, {"message": "Forbidden"})
    number = str(secrets.randbelow(2**47))
    context = {"deployment": DEPLOYMENT, "name": name, "scope": scope, "secret": number, "version": "1"}
    data = KMS.generate_data_key(KeyId=KEY, KeySpec="AES_256", EncryptionContext=context)
    envelope = seal(value, context, data["Plaintext"], data["CiphertextBlob"])
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def put(item):
        return {"Put": {"TableName": TABLE, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}

    subject = {"owner": {"S": scope}, "id": {"N": number}, "name": {"S": name}, "version": {"N": "1"}}
    DYNAMODB.transact_write_items(
        TransactItems=[
            {
                "ConditionCheck": {
                    "TableName": TABLE,
                    "Key": member(workspace, user),
                    "ConditionExpression": "#role IN (:owner, :admin)",
                    "ExpressionAttributeNames": {"#role": "role"},
                    "ExpressionAttributeValues": {":owner": {"S": "owner"}, ":admin": {"S": "admin"}},
                }
            },
            put({
                "pk": {"S": partition}, "sk": {"S": f"SECRET#{number}"}, "name": {"S": name}, "version": {"N": "1"},
                "createdAt": {"S": now}, "createdBy": {"N": user}, "updatedAt": {"S": now}, "updatedBy": {"N": user},
                "rawBytes": {"N": str(len(value.encode()))}, "jsonBytes": {"N": str(len(json.dumps(value)))},
                "nextflowStore": {"BOOL": True},
            }),
            put({"pk": {"S": partition}, "sk": {"S": f"VALUE#{number}"}, "version": {"N": "1"}, "envelope": {"B": envelope}}),
            put({"pk": {"S": partition}, "sk": {"S": f"NAME#{name.lower()}"}, "secretId": {"N": number}}),
            {
                "Update": {
                    "TableName": TABLE,
                    "Key": {"pk": {"S": partition}, "sk": {"S": "COUNT"}},
                    "UpdateExpression": "ADD #count :one",
                    "ConditionExpression": "attribute_not_exists(#count) OR #count <= :room",
                    "ExpressionAttributeNames": {"#count": "secretCount"},
                    "ExpressionAttributeValues": {":one": {"N": "1"}, ":room": {"N": "999"}},
                }
            },
            put({
                "pk": {"S": f"AUDIT#{scope}#{now[:7]}"}, "sk": {"S": f"{now}#{number}"}, "at": {"S": now},
                "id": {"S": number}, "action": {"S": "CreatePipelineSecret"}, "actor": {"N": user},
                "subjects": {"L": [{"M": subject}]},
            }),
        ]
    )
    return answer(200, {"secretId": int(number)})
