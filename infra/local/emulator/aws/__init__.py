"""AWS as its documentation describes it, where the emulator below accepts more or behaves differently.

One module per service. Each rule names the page that it follows; docs/emulator.md lists them all. `calls` and `shapes`
are what the services share.
"""

from . import (
    apigateway,
    batch,
    calls,
    cloudformation,
    cloudwatch,
    dynamodb,
    events,
    iam,
    kms,
    lambda_,
    secretsmanager,
    sqs,
    sts,
)

SERVICES = (
    apigateway,
    batch,
    cloudformation,
    cloudwatch,
    dynamodb,
    events,
    iam,
    kms,
    lambda_,
    secretsmanager,
    sqs,
    sts,
)


def install():
    for service in SERVICES:
        service.install()
    calls.install()
