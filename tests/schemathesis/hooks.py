"""What schemathesis takes for a failure and is none, each as narrowly as it can be said, and why."""

import os
import re

import schemathesis
from schemathesis.openapi.checks import IgnoredAuth, RejectedPositiveData, UnsupportedMethodResponse

# Rules that no JSON schema can say, and the words of the one refusal that each gives.
BEYOND_A_SCHEMA = {
    # A date that lies ahead.
    ("POST /pipeline-secrets", 400): r"The expiry date lies in the past\.",
    ("PUT /pipeline-secrets/{secretId}", 400): r"The expiry date lies in the past\.",
    ("POST /tokens", 400): r"The expiry date lies in the past\.",
    # Lines of a .env file; and names that differ only by case, which are two in a JSON map.
    ("POST /pipeline-secrets/import", 400): r"(Line \d+: .*|.*the same name.*)",
    # A user that there is. And an integer is one of 64 bits here, written without a fraction: 7, not 7.0.
    ("PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/add", 400): (
        r"There is no such user in this deployment\.|`memberId` must be a whole number\."
    ),
}


# What the caller would shut itself out with: its token, its part in the workspace.
OWN = {
    "DELETE /tokens/{tokenId}": ("tokenId", os.environ["OWN_TOKEN_ID"]),
    "DELETE /orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}": ("participantId", os.environ["OWN_USER_ID"]),
}


@schemathesis.hook
def filter_case(context, case):
    """Whether it leaves the caller its token and its part."""
    parameter, own = OWN.get(case.operation.label, (None, None))
    return parameter is None or str(case.path_parameters.get(parameter)) != own


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether it is one."""
    message = response.json()["message"] if response.status_code >= 400 else ""
    if isinstance(failure, UnsupportedMethodResponse):
        # API Gateway answers 404 where the path has no route with the method, and no function is asked. Where the path is
        # another route's with a word for an id (`PUT /pipeline-secrets/import`), that one says so.
        unrouted = (response.status_code, message) == (404, "Not Found")
        return not (unrouted or response.status_code == 400 and message.endswith("Id must be a whole number."))
    if isinstance(failure, IgnoredAuth):
        # Who has no claim token of a run is not told that there is one.
        return (case.operation.label, response.status_code) != ("POST /runs/{workflowId}/claim", 404)
    if isinstance(failure, RejectedPositiveData):
        rule = BEYOND_A_SCHEMA.get((case.operation.label, response.status_code))
        return rule is None or re.fullmatch(rule, message) is None
    return True
