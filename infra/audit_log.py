"""Reads the logged audit trail, for infra/reconcile and infra/check-audit."""

import json
import re
import subprocess
import sys
from argparse import ArgumentTypeError
from datetime import datetime, timezone

RUN_ENDS = {"run.ending", "run.ended"}
# The actions that each function records. A role can write any text to its own log: a line with an
# action of another function proves nothing.
ACTIONS = {
    "Authorizer": set(),
    "Identity": {
        "user.created", "user.login-added", "user.disabled", "user.enabled", "user.removed", "token.created", "token.revoked",
        "workspace.created", "workspace.deleted", "workspace.platforms-changed",
        "participant.set", "participant.removed", "secret.updated", "secret.deleted",
        "credentials.created", "credentials.updated", "credentials.deleted",
        "compute-env.created", "compute-env.updated", "compute-env.checked", "compute-env.deleted",
    },
    "ReadSecrets": set(),
    "WriteSecrets": {"secret.created", "secret.updated", "secret.deleted"},
    "LaunchRun": {"run.launched", "run.repinned", "run.tokens-renewed", *RUN_ENDS},
    "ClaimRun": {"run.claimed", *RUN_ENDS},
    "ReportRun": {"run.head-job-recorded", "run.cancelled", *RUN_ENDS},
    "CleanupRun": {"run.cancelled", *RUN_ENDS},
    "Console": set(),
}


def outputs_of(stack):
    described = aws("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}


def folder(function):
    """The name of a function's folder: claim-run for ClaimRun."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", function).lower()


def moment(text):
    """Returns the time of an argument. A time without a zone is refused: it would mean local time."""
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} is not a time with a zone: write it as 2026-11-24T10:00:00Z")
    if time > datetime.now(timezone.utc):
        raise ArgumentTypeError(f"{text} is in the future")
    return time.astimezone(timezone.utc)


# The format of each field that functions log. A holder of a function's credentials can write any
# text to its log.
FIELDS = {
    "audit.id": r"[0-9]+",
    "audit.at": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z",
    "scope": r"(WS|USER)#[0-9]+",
    "action": r"[a-z.-]+",
    "subjects": r"([0-9]+@[0-9]+(,[0-9]+@[0-9]+)*)?",
    "audit.digest": r"[A-Za-z0-9+/]{43}",
}
OPTIONAL = {"actor": r"[0-9]+", "run.id": r"[0-9A-Za-z]{14}", "person": r"[0-9]+", "detail": r".*"}


def read(outputs, since):
    """Returns (line, fields, function) for each line, oldest first; fields is None if unexpected."""
    groups = {name.removesuffix("LogGroup"): group for name, group in outputs.items() if name.endswith("LogGroup")}
    lines = []
    for function, group in groups.items():
        for line, fields in _lines(group, since):
            known = _is_record(fields) and fields["action"] in ACTIONS.get(function, set())
            lines.append((line, fields if known else None, function))
    return sorted(lines, key=lambda line: line[1]["audit.at"] if line[1] else "")


def _is_record(fields):
    def matches(name, pattern):
        return isinstance(fields.get(name), str) and re.fullmatch(pattern, fields[name], re.DOTALL) is not None

    return all(matches(*field) for field in FIELDS.items()) and all(
        fields.get(name) is None or matches(name, pattern) for name, pattern in OPTIONAL.items()
    )


def _lines(group, since):
    found = aws(
        "logs", "filter-log-events", "--log-group-name", group, "--start-time", str(int(since.timestamp() * 1000)),
        "--filter-pattern", '{ $.message = "audit" }', "--query", "events[].message",
    )
    # The filter pattern matches whole messages; each line of a message is checked here.
    lines = [(line, _fields(line)) for message in found or [] for line in message.splitlines()]
    return [(line, fields) for line, fields in lines if fields.get("message") == "audit"]


def _fields(line):
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def aws(*words):
    try:
        done = subprocess.run(["aws", *words, "--output", "json"], stdout=subprocess.PIPE, check=False)
    except FileNotFoundError:
        sys.exit("error: the AWS CLI was not found; install it: https://docs.aws.amazon.com/cli/")
    if done.returncode != 0:
        sys.exit(f"error: aws {' '.join(words[:2])} failed; see its message above")
    return json.loads(done.stdout)
