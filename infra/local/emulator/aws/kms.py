"""KMS: encryption contexts in policies, wrong keys for a ciphertext, and services that use a key."""

import base64
import json

from ministack.services import kms

from .calls import Refused, check, context
from .iam import allows_service

# A call of KMS by a service has neither `aws:SourceArn` nor `aws:SourceAccount`. The SNS page says
# so. No SQS page promises these keys, and the guides' statements for EventBridge have no condition.
# https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
TO_SEND = ("kms:GenerateDataKey", "kms:Decrypt")


def install():
    check("kms", _refuse)
    context("kms", _encryption_context)


def _encryption_context(data):
    """https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html"""
    pairs = data.get("EncryptionContext") or {}
    return {f"kms:EncryptionContext:{name}": value for name, value in pairs.items()}


def _refuse(call):
    data = call.data
    if call.operation in ("GenerateDataKey", "GenerateDataKeyWithoutPlaintext"):
        # https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
        if ("KeySpec" in data) == ("NumberOfBytes" in data):
            raise Refused("ValidationException", "Please specify either number of bytes or key spec.")
    if call.operation == "Decrypt":
        _refuse_wrong_key(data)
    if call.operation in ("CreateKey", "PutKeyPolicy") and data.get("Policy"):
        _refuse_policy(data["Policy"])


def _refuse_wrong_key(data):
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html"""
    named = data.get("KeyId") and kms._resolve_key(data["KeyId"])
    blob = base64.b64decode(data.get("CiphertextBlob") or "")
    used = kms._resolve_key(blob[:36].decode("ascii", "replace"))
    if named and used and named["KeyId"] != used["KeyId"]:
        raise Refused("IncorrectKeyException", "The key ID in the request does not identify a CMK that can decrypt.")


def _refuse_policy(policy):
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html"""
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        raise Refused("MalformedPolicyDocumentException", "The policy has no statements.") from None
    for statement in statements if isinstance(statements, list) else [statements]:
        if not {"Principal", "NotPrincipal"} & set(statement) or not {"Action", "NotAction"} & set(statement):
            raise Refused("MalformedPolicyDocumentException", "A statement lacks its principal or its action.")


def allows_service_to_send(service, key):
    """Whether a key policy allows this service to send messages to a queue under the key."""
    record = kms._resolve_key(key)
    if record is None or record.get("KeyState") != "Enabled":
        return False
    return all(allows_service(record.get("Policy"), service, action, record["Arn"], {}) for action in TO_SEND)
