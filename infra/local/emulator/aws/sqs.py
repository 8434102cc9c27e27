"""SQS: queue names. The emulator itself checks sizes, batches and attributes."""

import re

from .calls import Refused, check, resource

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")


def install():
    check("sqs", lambda call: _refuse_name(call.data) if call.operation == "CreateQueue" else None)
    resource("AWS::SQS::Queue", _refuse_name)


def _refuse_name(data):
    if "QueueName" in data and not NAME.fullmatch(data["QueueName"]):
        raise Refused("InvalidParameterValue", "A queue's name has 1 to 80 letters, digits, hyphens and underscores.")
