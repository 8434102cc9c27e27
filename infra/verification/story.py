"""Plays a run's whole life through the API, in a workspace of its own."""

import json
import os
import secrets
import time
import uuid

from .aws import Aws, Refused
from .checks import Check, NotTried, Wrong, expect

LINE, TEXT = "VERIFY_LINE", "VERIFY_TEXT"
COPIES_GONE = 90  # seconds from the end of a run to the deletion of its copies
IAM_PROPAGATES = 60  # seconds until a new role and its policy have effect
LETTER_ARRIVES = 330  # seconds: Lambda tries three times, one and two minutes apart


def people(run):
    """identity makes a workspace and three users, whose tokens expire in an hour."""
    run.people.create()
    return f"workspace {run.people.workspace}, users {run.people.name}-…"


def send_bad_event(run):
    """cleanup-run must refuse this event and send it to FailedCleanups. `find_dead_letter` looks for it."""
    run.mark = f"{run.people.name}-{uuid.uuid4()}"
    event = run.write("event.json", {"source": "pipeline-secrets.verify", "detail": {}, "mark": run.mark})
    run.aws(
        "lambda", "invoke", "--function-name", run.deployed.outputs["CleanupRunFunction"], "--invocation-type", "Event",
        "--payload", f"fileb://{event}", os.devnull,
    )


def store(run):
    run.values = {
        "user": secrets.token_urlsafe(24),
        LINE: secrets.token_urlsafe(24),
        TEXT: f"{secrets.token_urlsafe(24)} \"quoted\"\n{secrets.token_urlsafe(24)} é $HOME\n",
    }
    for name in (LINE, TEXT):
        made = run.called("POST", run.people.path("/pipeline-secrets"), "owner", {"name": name, "value": run.values[name]})
        run.people.secrets.append((run.people.path(f"/pipeline-secrets/{made['secretId']}"), "owner"))
    made = run.called("POST", "/pipeline-secrets", "launcher", {"name": LINE, "value": run.values["user"]})
    run.people.secrets.append((f"/pipeline-secrets/{made['secretId']}", "launcher"))


def write_only(run):
    paths = ["/pipeline-secrets", run.people.path("/pipeline-secrets"), run.people.path("/audit-events"), "/user-info", "/tokens"]
    paths += [path for path, _ in run.people.secrets[:2]]
    shown = [json.dumps(value)[1:-1] for value in run.values.values()] + list(run.values.values())
    for user in ("owner", "launcher"):
        for path in paths:
            content = run.api("GET", path, run.people.tokens[user]).content
            if any(value in content for value in shown):
                raise Wrong(f"GET {path} returned the value of a secret: do not use this deployment")


def access(run):
    """Who may not do something gets the answer that the API documents."""
    body, token = {"name": "VERIFY_REFUSED", "value": "refused"}, run.people.tokens
    path = run.people.path("/pipeline-secrets")
    lines = []
    for what, caller, method, to, expected in (
        ("a user who may only view stores a secret", token["viewer"], "POST", path, 403),
        ("a caller without a token lists secrets", None, "GET", path, 401),
        ("a caller with a wrong token lists secrets", "wrong", "GET", path, 403),
        ("a caller without a token asks for an unknown operation", None, "GET", "/unknown", 401),
        ("a caller with a token asks for an unknown operation", token["viewer"], "GET", "/unknown", 501),
    ):
        answer = run.api(method, to, caller, body if method == "POST" else None)
        if answer.status != expected:
            lines.append(f"{what}: the API answered {answer.status}, and must answer {expected} ({method} {to.split('?')[0]})")
    expect(lines)


def preview(run):
    answer = run.called("POST", run.people.path("/launches/preview"), "launcher", {"platform": "aws-batch"})
    owners = {one["name"]: one["owner"] for one in answer["secrets"]}
    if owners != {LINE: "user", TEXT: "workspace"}:
        raise Wrong(f"a preview selects {owners}; the user's {LINE} must override the workspace's")


def bundle(run):
    run.bundle = _launch_copies(run, "bundle", 1)


def per_name(run):
    run.per_name = _launch_copies(run, "per-name", 2)


def _launch_copies(run, layout, copies):
    """Launches twice with one idempotency key: both answers are one run, with this many copies."""
    key, body = uuid.uuid4().hex, {"platform": "aws-batch", "layout": layout}
    launched = run.people.launch(body, key)
    again = run.people.launch(body, key)
    receipt = run.called("GET", f"/runs/{launched['workflowId']}", "launcher")
    prefix = run.deployed.parameters["RunPrefix"]
    if not launched["workflowId"].startswith(prefix):
        raise Wrong(
            f"run {launched['workflowId']} does not begin with RunPrefix {prefix}, so the clean-up may not delete its "
            "copies: the setting RUN_PREFIX of launch-run was changed. Deploy again"
        )
    if again["workflowId"] != launched["workflowId"]:
        raise Wrong("a launch that was repeated with one Idempotency-Key made a second run")
    if len(receipt["copies"]) != copies:
        raise Wrong(f"run {launched['workflowId']} has {len(receipt['copies'])} copies, and must have {copies}")
    return again


def read_bundle(run):
    _read(run, run.bundle)
    return run.reader_name


def read_per_name(run):
    _read(run, run.per_name)
    return run.reader_name


def _read(run, launched):
    """Reads the copies as AWS Batch does, under a role with the statements of the launch."""
    reader = _reader(run, launched["iam"]["statements"])
    expected = {LINE: run.values["user"], TEXT: run.values[TEXT]}
    found = {}
    for one in launched["batch"]["secrets"]:
        parts = one["valueFrom"].split(":")
        arn, key = ":".join(parts[:7]), parts[7] if len(parts) > 7 else ""
        try:
            text = _retried(lambda: reader("secretsmanager", "get-secret-value", "--secret-id", arn), IAM_PROPAGATES)["SecretString"]
        except Refused as refused:
            raise Wrong(f"a role with the statements of the launch may not read its copy: {refused}") from None
        found[one["name"]] = json.loads(text).get(key) if key else text
    if found != expected:
        wrong = sorted(name for name in expected if found.get(name) != expected[name])
        raise Wrong(f"the copies of run {launched['workflowId']} do not hold what was stored: {', '.join(wrong) or 'other names'}")


def _reader(run, statements):
    """A session of the role of the job: --role, or a role that is made for this."""
    if run.reader is None:
        if run.options.role:
            run.reader_name = run.options.role
        else:
            try:
                run.reader_name = run.people.create_role(statements)
            except Refused as refused:
                raise NotTried(
                    "your credentials may not make a role for this. Name a role that you may assume and that has the "
                    f"statements of a launch with --role: {refused}"
                ) from None
        arn = run.reader_name
        session = _retried(
            lambda: run.aws("sts", "assume-role", "--role-arn", arn, "--role-session-name", "verify"), IAM_PROPAGATES
        )
        run.reader = Aws(session["Credentials"])
    return run.reader


def _retried(call, seconds):
    """Repeats a call that is denied: changes of IAM take a while to have effect."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Refused as refused:
            if not refused.is_denial() or time.monotonic() > deadline:
                raise
        time.sleep(2)


def role_is_narrow(run):
    """The role of the workspace's jobs may not read another secret of the account."""
    arn = run.deployed.arn("secretsmanager", f"secret:tower-{run.deployed.parameters['RunPrefix']}0000000000-AbCdEf")
    try:
        run.reader("secretsmanager", "get-secret-value", "--secret-id", arn)
    except Refused as refused:
        if refused.is_denial():
            return
        raise
    raise Wrong("the role read a secret that is not a copy of this workspace")


def heartbeat(run):
    run.sent(run.bundle, "heartbeat", {})
    state = run.called("GET", f"/runs/{run.bundle['workflowId']}", "launcher")["state"]
    if state != "running":
        raise Wrong(f"after a heartbeat, run {run.bundle['workflowId']} is {state}, and must be running")


def end(run):
    """The report of an end reaches cleanup-run over the event bus, which deletes the copies."""
    begun = time.monotonic()
    for launched in (run.bundle, run.per_name):
        run.sent(launched, "end", {"success": True})
    for launched in (run.bundle, run.per_name):
        state = run.people.wait_for_end(launched, COPIES_GONE)
        if state != "ended":
            raise Wrong(
                f"run {launched['workflowId']} is {state} {COPIES_GONE} s after its end was reported, and its copies still "
                "exist: the event did not reach cleanup-run, or it failed. See the rules, UndeliveredEvents, and the log of "
                f"cleanup-run.{run.log_words('CleanupRun')}"
            )
    return f"after {time.monotonic() - begun:.0f} s"


def gone(run):
    left = run.people.copies_left()
    if left:
        raise Wrong(f"copies still exist although their runs have ended: {', '.join(left)}. See the log of cleanup-run")


def claim(run):
    """A run on HPC gets its secrets once."""
    body = {"platform": "slurm", "workspaceSecrets": [LINE], "userSecrets": []}
    launched = run.people.launch(body, uuid.uuid4().hex)
    path, token = f"/runs/{launched['workflowId']}/claim", launched["claimToken"]
    first = run.api("POST", path, token)
    if first.status != 200:
        raise Wrong(f"the claim of a run on HPC: {first.status} {first.message()}{run.log_words('ClaimRun')}")
    if {one["name"]: one["value"] for one in first.body}.get(LINE) != run.values[LINE]:
        raise Wrong("the claim did not return the value that was stored")
    second = run.api("POST", path, token)
    if second.status != 410 or any(value in second.content for value in run.values.values()):
        raise Wrong(f"a second claim with one token: the API answered {second.status}, and must answer 410")
    run.sent(launched, "end", {"success": True})
    return "the second claim sets off SecondClaimsAlarm, once"


def sweep(run):
    """The sweep works when it is invoked. Whether its schedule works, the metrics show."""
    event = run.write("sweep.json", {"source": "pipeline-secrets.sweep"})
    invoked = run.aws(
        "lambda", "invoke", "--function-name", run.deployed.outputs["CleanupRunFunction"], "--payload", f"fileb://{event}", os.devnull
    )
    if invoked.get("FunctionError"):
        raise Wrong(f"the sweep failed.{run.log_words('CleanupRun')}")


def audit(run):
    """The audit trail has the acts, in the table and in the log of the function."""
    events = run.called("GET", run.people.path("/audit-events", max=1000), "owner")["events"]
    missing = {"secret.created", "run.launched", "run.claimed", "run.ended"} - {one["action"] for one in events}
    if missing:
        raise Wrong(f"the audit trail of the workspace lacks {', '.join(sorted(missing))}")
    group = run.deployed.outputs["LaunchRunLogGroup"]
    for _ in range(10):
        if run.log_lines(group, f'"{run.bundle["workflowId"]}"'):
            return
        time.sleep(3)
    raise Wrong(f"the log group {group} has no line of run {run.bundle['workflowId']}: a restore would lose the audit trail")


def find_dead_letter(run):
    """The event that cleanup-run refused is in FailedCleanups."""
    queue = run.deployed.outputs["FailedCleanupsUrl"]
    deadline = time.monotonic() + LETTER_ARRIVES
    while time.monotonic() < deadline:
        received = run.aws(
            "sqs", "receive-message", "--queue-url", queue, "--max-number-of-messages", "10", "--visibility-timeout", "1",
            "--wait-time-seconds", "2",
        )
        for one in received.get("Messages") or []:
            if run.mark in one["Body"]:
                run.aws("sqs", "delete-message", "--queue-url", queue, "--receipt-handle", one["ReceiptHandle"])
                run.mark = None
                return "it can set off FailedCleanupsAlarm, once"
    waiting = run.aws("sqs", "get-queue-attributes", "--queue-url", queue, "--attribute-names", "All")["Attributes"]
    if int(waiting.get("ApproximateNumberOfMessages", 0)) > 10:
        raise NotTried("FailedCleanups has so many messages that this one was not found: see docs/alarms.md, FailedCleanupsAlarm")
    raise Wrong(
        f"an event that cleanup-run cannot read did not reach the queue FailedCleanups within {LETTER_ARRIVES} s: see "
        "its EventInvokeConfig, the role's right to send and the at-rest key's policy"
    )


CHECKS = [
    Check("people", "identity makes users and a workspace", people, ()),
    Check("bad-event", "an event that cleanup-run cannot read is accepted", send_bad_event, ("people",)),
    Check("store", "secrets are stored", store, ("people",)),
    Check("write-only", "no read returns a value", write_only, ("store",)),
    Check("access", "callers without a right are refused", access, ("people",)),
    Check("preview", "a preview selects the right secrets", preview, ("store",)),
    Check("bundle", "a launch on AWS Batch, one copy per run", bundle, ("store",)),
    Check("per-name", "a launch on AWS Batch, one copy per name", per_name, ("store",)),
    Check("read-bundle", "a job's role reads the copy of a run", read_bundle, ("bundle",)),
    Check("read-per-name", "a job's role reads copies per name", read_per_name, ("per-name",)),
    Check("role", "a job's role reads nothing else", role_is_narrow, ("read-bundle",)),
    Check("heartbeat", "a heartbeat keeps a run alive", heartbeat, ("bundle",)),
    Check("end", "the end of a run reaches cleanup-run", end, ("bundle", "per-name", "read-bundle", "read-per-name", "heartbeat")),
    Check("gone", "the copies of ended runs are deleted", gone, ("end",)),
    Check("claim", "a run on HPC claims its secrets once", claim, ("store",)),
    Check("sweep", "the sweep works", sweep, ()),
    Check("audit", "the audit trail is complete, also in the logs", audit, ("end", "claim")),
    Check("dead-letter", "that event fails and reaches FailedCleanups", find_dead_letter, ("bad-event",)),
]
