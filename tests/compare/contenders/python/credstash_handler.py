"""credstash at its fastest: the library in a long-lived process, with one session and one set of clients."""

import os

import boto3
import credstash

SESSION = boto3.session.Session()
SHARED = {"dynamodb": SESSION.resource("dynamodb"), "kms": SESSION.client("kms")}


def handler(event, _context):
    name = event.get("name")
    match event["do"]:
        case "put":
            credstash.putSecret(name, event["value"], version="1", kms_key=os.environ["ENVELOPE_KEY_ARN"], **SHARED)
            return {}
        case "get":
            return {"value": credstash.getSecret(name, **SHARED)}
        case "list":
            return {"names": [item["name"] for item in credstash.listSecrets(session=SESSION)]}
