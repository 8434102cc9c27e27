"""The audit trail as the functions logged it: what infra/reconcile and infra/check-audit have in common."""

import json
import subprocess
import sys
from datetime import datetime, timezone

RUN_ENDS = {"run.ending", "run.ended"}
# Which actions each function records. A role may write to its own log whatever it likes: a line of an action that is not its
# function's proves nothing.
ACTIONS = {
    "Authorizer": set(),
    "Identity": {
        "user.created", "token.created", "token.revoked", "workspace.created", "workspace.platforms-changed",
        "participant.set", "participant.removed", "secret.updated", "secret.deleted",
    },
    "ReadSecrets": set(),
    "WriteSecrets": {"secret.created", "secret.updated", "secret.deleted"},
    "LaunchRun": {"run.launched", "run.repinned", "run.tokens-renewed", *RUN_ENDS},
    "ClaimRun": {"run.claimed", *RUN_ENDS},
    "ReportRun": {"run.head-job-recorded", *RUN_ENDS},
    "CleanupRun": RUN_ENDS,
}


def outputs_of(stack):
    described = aws("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


def read(outputs, since):
    """The lines since then, oldest first, each with whether its function records such actions."""
    groups = {name.removesuffix("LogGroup"): group for name, group in outputs.items() if name.endswith("LogGroup")}
    lines = [
        (line, json.loads(line).get("action") in ACTIONS.get(function, set()), function)
        for function, group in groups.items()
        for line in _lines(group, since)
    ]
    return sorted(lines, key=lambda line: str(json.loads(line[0]).get("audit.at")))


def _lines(group, since):
    found = aws(
        "logs", "filter-log-events", "--log-group-name", group, "--start-time", str(int(since.timestamp() * 1000)),
        "--filter-pattern", '{ $.message = "audit" }', "--query", "events[].message",
    )
    # The pattern finds messages; the line in one of them decides.
    return [line for message in found or [] for line in message.splitlines() if _is_audit(line)]


def _is_audit(line):
    try:
        return json.loads(line).get("message") == "audit"
    except (ValueError, AttributeError):
        return False


def aws(*words):
    try:
        done = subprocess.run(["aws", *words, "--output", "json"], stdout=subprocess.PIPE, check=False)
    except FileNotFoundError:
        sys.exit("error: the AWS CLI is needed: https://docs.aws.amazon.com/cli/")
    if done.returncode != 0:
        sys.exit(f"error: aws {' '.join(words[:2])} failed; what it said stands above")
    return json.loads(done.stdout)
