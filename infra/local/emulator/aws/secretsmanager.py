"""AWS Secrets Manager: names, tags, sizes, lists that lag, repeated calls and forced deletes."""

import base64
import json
import re
import time

from ministack.core import responses
from ministack.services import kms, secretsmanager

from .calls import Refused, answer, check, context

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
LONGEST_VALUE = 65_536  # bytes
MOST_TAGS = 50
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
NAME = re.compile(r"[A-Za-z0-9/_+=.@-]+")
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
LONGEST_LAG = 300  # seconds

_as_of = None
_deleted = []  # deleted secrets: the time, and the secret as it was listed
_created_at = {}  # when a secret was created, by ARN


def install():
    check("secretsmanager", _refuse)
    answer("secretsmanager", "DeleteSecret", _delete)
    context("secretsmanager", _resource_tags)
    secretsmanager._filter_secret_names = _filter_names
    _make_create_secret_idempotent()
    _record_deleted_secrets()


def list_as_of(when):
    """Makes ListSecrets show the account as of this time, at most 5 minutes ago. None ends this."""
    global _as_of
    _as_of = when


# ---- Refused calls ------------------------------------------------------------------------------


def _refuse(call):
    data = call.data
    _refuse_values(data)
    if "Tags" in data:
        _refuse_tags(call.operation, data)
    if call.operation == "CreateSecret":
        _refuse_creation(data)
    if call.operation == "DeleteSecret" and data.get("ForceDeleteWithoutRecovery") and "RecoveryWindowInDays" in data:
        # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
        raise Refused(
            "InvalidParameterException",
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        )


def _refuse_values(data):
    """At most 65,536 bytes, and either text or binary."""
    text, binary = data.get("SecretString"), data.get("SecretBinary")
    if text is not None and binary is not None:
        # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
        raise Refused("InvalidParameterException", "You can't specify both a binary value and a string value.")
    size = len((text or "").encode()) or len(base64.b64decode(binary or ""))
    if size > LONGEST_VALUE:
        raise Refused("InvalidParameterException", "The value has more than 65,536 bytes.")


def _refuse_tags(operation, data):
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html"""
    tags = {tag.get("Key", ""): tag.get("Value", "") for tag in data["Tags"] or []}
    for text in (*tags, *tags.values()):
        if not all(one.isalnum() or one.isspace() or one in "+-=._:/@" for one in text):
            raise Refused(
                "InvalidParameterException",
                "Tag keys and values hold letters, spaces, numbers and + - = . _ : / @ only.",
            )
        if text.lower().startswith("aws:"):
            raise Refused("InvalidParameterException", "The prefix aws: is reserved.")
    known = _tags_of(data.get("SecretId", "")) if operation == "TagResource" else {}
    if len({**known, **tags}) > MOST_TAGS:
        raise Refused("InvalidParameterException", "A secret has 50 tags at most.")


def _refuse_creation(data):
    name, key = data["Name"], data.get("KmsKeyId")
    if not NAME.fullmatch(name):
        raise Refused("InvalidParameterException", "A name holds letters, numbers and /_+=.@- only.")
    if (secretsmanager._secrets.get(name) or {}).get("DeletedDate"):
        raise Refused(
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        )
    if key and key != "alias/aws/secretsmanager" and (kms._resolve_key(key) or {}).get("KeyState") != "Enabled":
        # EncryptionFailure in
        # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
        raise Refused("EncryptionFailure", "Secrets Manager can't encrypt the secret under this KMS key.")


# ---- Different behaviour ------------------------------------------------------------------------


def _delete(call):
    """A forced delete of a missing secret succeeds.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
    """
    name = call.data.get("SecretId", "")
    if not call.data.get("ForceDeleteWithoutRecovery") or secretsmanager._resolve(name)[1]:
        return None
    arn = f"arn:aws:secretsmanager:{responses.get_region()}:{responses.get_account_id()}:secret:{name}"
    return responses.json_response({"ARN": arn, "Name": name, "DeletionDate": int(time.time())})


def _make_create_secret_idempotent():
    """The same ClientRequestToken and value are one creation. The token is the version id.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    """
    known = secretsmanager._create_secret

    def create_secret(data):
        token, value = data.get("ClientRequestToken"), data.get("SecretString")
        secret = secretsmanager._secrets.get(data.get("Name"))
        version = (secret or {}).get("Versions", {}).get(token)
        if version and not secret.get("DeletedDate") and version.get("SecretString") == value:
            return _created(secret, token)
        answered = known(data)
        if answered[0] != 200:
            return answered
        secret = secretsmanager._secrets[data["Name"]]
        _created_at[secret["ARN"]] = time.time()
        if not token:
            return answered
        created = json.loads(answered[2])["VersionId"]
        secret["Versions"] = {token if vid == created else vid: kept for vid, kept in secret["Versions"].items()}
        return _created(secret, token)

    secretsmanager._create_secret = create_secret


def _created(secret, version):
    return secretsmanager.json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": version})


def _record_deleted_secrets():
    """ListSecrets might not reflect changes of the last five minutes: `list_as_of` emulates this.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
    """
    known_purge, known_list = secretsmanager._purge_secret, secretsmanager._list_secrets

    def purge(key, secret):
        _deleted.append((time.time(), dict(secret)))
        known_purge(key, secret)

    def list_secrets(data):
        if _as_of is None:
            return known_list(data)
        then = max(_as_of, time.time() - LONGEST_LAG)
        _deleted[:] = [(when, secret) for when, secret in _deleted if when > time.time() - LONGEST_LAG]
        present = dict(secretsmanager._secrets.items())
        removed = [secret for when, secret in _deleted if when > then and secret["Name"] not in present]
        shown = {
            secret["Name"]: secret
            for secret in (*present.values(), *removed)
            if _created_at.get(secret["ARN"], 0) <= then
        }
        return _list_of(shown, present, known_list, data)

    secretsmanager._purge_secret = purge
    secretsmanager._list_secrets = list_secrets


def _list_of(shown, present, known_list, data):
    """The emulator's list over other secrets. It does not await, so no other call sees them."""
    for name in present:
        del secretsmanager._secrets[name]
    secretsmanager._secrets.update(shown)
    try:
        return known_list(data)
    finally:
        for name in shown:
            del secretsmanager._secrets[name]
        secretsmanager._secrets.update(present)


def _filter_names(names, filters):
    """Filters match prefixes. Names, tag keys and tag values are case-sensitive. `!` negates.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Filter.html
    """
    for one in filters:
        names = [name for name in names if any(_matches(name, one.get("Key"), text) for text in one.get("Values", []))]
    return names


def _matches(name, key, text):
    if text.startswith("!"):
        return not _matches(name, key, text[1:])
    secret = secretsmanager._secrets[name]
    tags = secret.get("Tags") or []
    match key:
        case "name":
            return name.startswith(text)
        case "tag-key":
            return any(tag["Key"].startswith(text) for tag in tags)
        case "tag-value":
            return any(tag.get("Value", "").startswith(text) for tag in tags)
        case "description":
            return (secret.get("Description") or "").lower().startswith(text.lower())
    return True


# ---- Conditions ---------------------------------------------------------------------------------


def _resource_tags(data):
    """`secretsmanager:ResourceTag/*`. A missing secret has no tags, so a condition on one fails.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_tags.html
    """
    if not data.get("SecretId"):
        return {}
    return {f"secretsmanager:ResourceTag/{name}": value for name, value in _tags_of(data["SecretId"]).items()}


def _tags_of(secret_id):
    _, secret = secretsmanager._resolve(secret_id)
    return {tag["Key"]: tag["Value"] for tag in (secret or {}).get("Tags") or []}
