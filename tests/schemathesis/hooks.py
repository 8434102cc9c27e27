"""Filters false failures of schemathesis, each as narrowly as possible, and explains why."""

import os
import re

import schemathesis
from schemathesis.core.failures import ServerError
from schemathesis.openapi.checks import IgnoredAuth, RejectedPositiveData, UnsupportedMethodResponse

# Rules that a JSON schema cannot express, with the message of the refusal.
BEYOND_A_SCHEMA = {
    # A date must be in the future.
    ("POST /pipeline-secrets", 400): r"The expiry date must be in the future\.",
    ("PUT /pipeline-secrets/{secretId}", 400): r"The expiry date must be in the future\.",
    # The same rule, a token lives at most as long as the deployment allows, its name has no
    # characters that are not shown, and an integer has no fraction.
    ("POST /tokens", 400): (
        r"The expiry date must be in the future\.|The token would live too long: .*|Invalid token name: .*|"
        r"`workspaceId` must be a whole number\."
    ),
    # A compute environment is for one platform.
    ("POST /launches", 400): r"computeEnvId is only for launches on aws-batch\. Omit it\.",
    ("POST /launches/preview", 400): r"computeEnvId is only for launches on aws-batch\. Omit it\.",
    # The lines of a .env file, and names that differ only by case, which a JSON map allows.
    ("POST /pipeline-secrets/import", 400): r"(Line \d+: .*|.*the same name.*)",
    # An integer must fit into 64 bits and have no fraction: 7, not 7.0.
    ("POST /runs/{workflowId}/end", 400): r"`exitStatus` must be a whole number\.",
    # The user must exist, and the same rule.
    ("PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/add", 400): (
        r"The user does not exist in this deployment\.|`memberId` must be a whole number\."
    ),
}


# Deletions with which the caller would lose access: its token, its role, and the workspace.
OWN = {
    "DELETE /tokens/{tokenId}": ("tokenId", os.environ["OWN_TOKEN_ID"]),
    "DELETE /orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}": ("participantId", os.environ["OWN_USER_ID"]),
    "DELETE /orgs/{orgId}/workspaces/{workspaceId}": ("workspaceId", os.environ["PIPELINE_SECRETS_WORKSPACE"]),
    "DELETE /orgs/{orgId}/workspaces/{workspaceId}/participants": ("workspaceId", os.environ["PIPELINE_SECRETS_WORKSPACE"]),
}


@schemathesis.hook
def filter_case(context, case):
    """Whether the caller keeps its token and its role."""
    parameter, own = OWN.get(case.operation.label, (None, None))
    return parameter is None or str(case.path_parameters.get(parameter)) != own


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether this is a true failure."""
    message = response.json()["message"] if response.status_code >= 400 else ""
    if isinstance(failure, UnsupportedMethodResponse):
        # An operation that the service does not have is 501, or 401 without a token: a client would
        # take 405 or 404 for something else. If the path matches another route with a word as the
        # id, that route refuses the id.
        unrouted = response.status_code in (401, 403, 501)
        return not (unrouted or response.status_code == 400 and message.endswith("Id must be a whole number."))
    if isinstance(failure, ServerError):
        # A method that the operation does not have is another operation, which does not exist.
        return response.status_code != 501 or response.request.method == case.operation.method.upper()
    if isinstance(failure, IgnoredAuth):
        # A caller without the run's claim token does not learn whether the run exists.
        return (case.operation.label, response.status_code) != ("POST /runs/{workflowId}/claim", 404)
    if isinstance(failure, RejectedPositiveData):
        rule = BEYOND_A_SCHEMA.get((case.operation.label, response.status_code))
        return rule is None or re.fullmatch(rule, message) is None
    return True
