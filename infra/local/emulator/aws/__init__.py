"""Rules of AWS's documentation, where the emulator accepts more or behaves differently.

There is one module per service. Each rule names the page that it follows, and docs/emulator.md
lists all rules. The services share `calls` and `shapes`.
"""

from . import (
    apigateway,
    batch,
    calls,
    cloudformation,
    cloudwatch,
    dynamodb,
    environments,
    events,
    iam,
    kms,
    lambda_,
    s3,
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
    s3,
    secretsmanager,
    sqs,
    sts,
    environments,  # after iam, whose condition keys it needs
)


def install():
    for service in SERVICES:
        service.install()
    calls.install()
