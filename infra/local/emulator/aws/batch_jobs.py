"""Executes the jobs of AWS Batch whose queue has the tag `local:executes-jobs`.

The command of a job runs as a process of this machine, not in a container: its image is ignored. It
has a private directory, which is deleted afterwards, and an environment with only the variables
that AWS documents, those of the job, and those that lead to this emulator. `supervisor.py` keeps
every process of a job within the life of the job and of the emulator.
https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
"""

import asyncio
import contextlib
import contextvars
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core.responses import request_scope
from ministack.services import batch, iam, sts

from .iam import allows_service

ACCOUNT, REGION = os.environ["MINISTACK_ACCOUNT_ID"], os.environ["MINISTACK_REGION"]
ENDPOINT = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"
FINAL = ("SUCCEEDED", "FAILED")
SUPERVISOR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "supervisor.py")
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html
LONGEST_OVERRIDES = 8_192  # characters of JSON
SESSION = 6 * 3_600  # seconds
LONGEST_KILL = 3  # seconds

_running = {}  # by job id
_sessions = {}  # the credentials of running jobs by the key in their address
_tasks = set()
_sdk, _lock = botocore.session.Session(), threading.Lock()
_advance = None  # batch.py: moves a job to a status and sends the event
note_change = lambda: None  # snapshots.py: the state has changed without a call


class Failed(Exception):
    """The attempt fails before its command starts, with this status reason."""


class Attempt:
    """A running command."""

    def __init__(self, process, life):
        self.process, self.life, self.reason = process, life, None

    def stop(self, reason):
        self.reason = self.reason or reason
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def kill(self):
        if self.life is not None:
            os.close(self.life)  # `supervisor.py` waits for this
        self.life = None

    def wait_until_gone(self, deadline):
        while self.process.returncode is None and time.monotonic() < deadline:
            try:
                os.kill(self.process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.02)


def install(advance):
    global _advance
    _advance = advance
    for name in os.listdir(os.environ["TMPDIR"]):
        if name.startswith("job-"):  # of an emulator that was killed
            shutil.rmtree(os.path.join(os.environ["TMPDIR"], name), ignore_errors=True)


def start(job):
    """Executes a job that is RUNNABLE."""
    # The task must not act as the caller of SubmitJob.
    task = contextvars.Context().run(asyncio.ensure_future, _execute(job["jobId"]))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def resume(jobs):
    """Continues after a start of the emulator: what was running then has ended."""
    for job in jobs:
        if job["status"] in ("STARTING", "RUNNING"):
            _advance(job, "FAILED", "Host EC2 (instance i-0123456789abcdef0) terminated.", None)
        if job["status"] == "RUNNABLE":
            start(job)


def stop(job_id, reason):
    """Stops the command of a job, and returns whether it runs: then the job ends a little later."""
    attempt = _running.get(job_id)
    if attempt:
        attempt.stop(reason)
    return attempt is not None


def stop_all():
    """Kills every job, and waits until they are gone."""
    attempts, deadline = list(_running.values()), time.monotonic() + LONGEST_KILL
    for attempt in attempts:
        attempt.kill()
    for attempt in attempts:
        attempt.wait_until_gone(deadline)


def output(job_id):
    """The output of each attempt of a job."""
    found = []
    while os.path.exists(path := _log(job_id, len(found) + 1)):
        with open(path, encoding="utf-8", errors="replace") as file:
            found.append(file.read())
    return found


def credentials(key):
    """The credentials of a job's role, as the ECS agent serves them.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    """
    return _sessions.get(key)


def _log(job_id, attempt):
    folder = os.path.join(os.path.dirname(os.environ["STATE_DIR"]), "jobs")
    return os.path.join(folder, f"{job_id.replace(':', '.')}.{attempt}.log")


async def _execute(job_id):
    with request_scope(ACCOUNT, REGION):
        while (job := batch._jobs.get(job_id)) and job["status"] == "RUNNABLE":
            job["container"]["taskArn"] = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{_environment_name(job)}/{secrets.token_hex(16)}"
            _advance(job, "STARTING", None, None)
            try:
                reason, code = await _attempt(job)
            except Failed as failed:
                reason, code = str(failed), None
            except OSError as error:
                reason, code = f"CannotStartContainerError: {error.strerror}", None
            if job["status"] not in FINAL:
                _advance(job, "SUCCEEDED" if code == 0 else "FAILED", reason, code)
            note_change()


async def _attempt(job):
    """Runs one attempt of a job, and returns its reason and exit code."""
    if len(json.dumps(job["_overrides"], separators=(",", ":"))) > LONGEST_OVERRIDES:
        raise Failed(f"Container Overrides length must be at most {LONGEST_OVERRIDES}")
    container, number = job["container"], len(job["attempts"]) + 1
    with contextlib.ExitStack() as opened:
        environment = {one["name"]: one.get("value") or "" for one in container["environment"]}
        if container["secrets"]:
            role = opened.enter_context(_session(container["executionRoleArn"], job))
            environment |= await asyncio.to_thread(_fetch, role, container["secrets"])
        environment |= {
            "AWS_BATCH_CE_NAME": _environment_name(job),
            "AWS_BATCH_JOB_ATTEMPT": str(number),
            "AWS_BATCH_JOB_ID": job["jobId"],
            "AWS_BATCH_JQ_NAME": job["jobQueue"].rsplit("/", 1)[-1],
        }
        if "index" in job.get("arrayProperties", {}):
            environment["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job["arrayProperties"]["index"])
        if container.get("jobRoleArn"):
            key = opened.enter_context(_served(opened.enter_context(_session(container["jobRoleArn"], job))))
            environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{ENDPOINT}/_local/batch/credentials/{key}"
        if job["status"] != "STARTING":  # it was terminated
            return None, None
        folder = opened.enter_context(_folder())
        return await _run(job, _command(job), {**_defaults(folder), **environment}, folder, number)


def _environment_name(job):
    queue = batch._job_queues.get(job["jobQueue"].rsplit("/", 1)[-1]) or {}
    order = queue.get("computeEnvironmentOrder") or [{"computeEnvironment": "local"}]
    return order[0]["computeEnvironment"].rsplit("/", 1)[-1]


def _command(job):
    """https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html"""
    parameters = {f"Ref::{name}": value for name, value in job["parameters"].items()}
    command = [parameters.get(word, word) for word in job["container"].get("command") or []]
    if not command:
        raise Failed("CannotStartContainerError: this emulator does not know the default command of the image")
    return command


@contextlib.contextmanager
def _folder():
    """A private directory with the AWS CLI, which images of tasks and of head jobs contain."""
    folder = tempfile.mkdtemp(prefix="job-", dir=os.environ["TMPDIR"])
    try:
        for name in ("bin", "home", "tmp"):
            os.mkdir(os.path.join(folder, name))
        os.symlink(os.path.join(os.path.dirname(sys.executable), "aws"), os.path.join(folder, "bin/aws"))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _defaults(folder):
    return {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
        "AWS_REGION": REGION,
        "HOME": os.path.join(folder, "home"),
        "PATH": os.path.join(folder, "bin") + os.pathsep + os.environ.get("PATH", os.defpath),
        "TMPDIR": os.path.join(folder, "tmp"),
    }


async def _run(job, command, environment, folder, number):
    path = _log(job["jobId"], number)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    gone, life = os.pipe()
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", SUPERVISOR,
            cwd=os.path.join(folder, "home"), env={}, stdin=gone, stdout=log, stderr=log, umask=0o022,
            start_new_session=True,  # a signal to the emulator and its children is not for the job
        )
    os.close(gone)
    attempt = _running[job["jobId"]] = Attempt(process, life)
    try:
        await asyncio.to_thread(_send, life, [command, environment])
        if job["status"] == "STARTING":
            _advance(job, "RUNNING", None, None)
            await _wait(job, attempt)
        else:  # it was terminated in the meantime
            attempt.kill()
            await process.wait()
    finally:
        del _running[job["jobId"]]
        attempt.kill()
        attempt.wait_until_gone(time.monotonic() + LONGEST_KILL)
    code = process.returncode
    return attempt.reason or "Essential container in task exited", code if code >= 0 else 128 - code


def _send(life, content):
    with contextlib.suppress(BrokenPipeError), open(life, "wb", closefd=False) as pipe:
        pipe.write(json.dumps(content).encode() + b"\n")


async def _wait(job, attempt):
    """Waits for the end of a command, at most for the timeout of the job.

    https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
    """
    limit = (job.get("timeout") or {}).get("attemptDurationSeconds")
    try:
        await asyncio.wait_for(asyncio.shield(attempt.process.wait()), limit)
    except asyncio.TimeoutError:
        job["isTerminated"] = True  # it is not retried
        attempt.stop("Job attempt duration exceeded timeout")
        await attempt.process.wait()


# ---- Roles and secrets --------------------------------------------------------------------------


@contextlib.contextmanager
def _session(role_arn, job):
    """A session of a role for as long as the job needs it, as ECS assumes it.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    """
    role = iam._roles.get((role_arn or "").rsplit("/", 1)[-1]) or {}
    keys = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:*"}
    trust = role.get("AssumeRolePolicyDocument") or "{}"
    trust = json.loads(trust) if isinstance(trust, str) else trust
    statements = trust.get("Statement") or []
    statements = statements if isinstance(statements, list) else [statements]
    trust = {**trust, "Statement": [{**one, "Resource": "*"} for one in statements]}
    if not allows_service(trust, "ecs-tasks.amazonaws.com", "sts:AssumeRole", "*", keys):
        raise Failed(
            f"ECS was unable to assume the role '{role_arn}' that was provided for this task. Please verify that "
            "the role being passed has the proper trust relationship and permissions"
        )
    name, key, task = role["RoleName"], f"ASIA{secrets.token_hex(8).upper()}", job["container"]["taskArn"].rsplit("/", 1)[-1]
    session = {
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{task}",
        "UserId": f"{name}:{task}",
        "SecretAccessKey": secrets.token_hex(20),
        "SessionToken": secrets.token_hex(32),
        "Expiration": time.time() + SESSION,
    }
    sts.register_session(key, session)
    try:
        yield {
            "RoleArn": role_arn,
            "AccessKeyId": key,
            "SecretAccessKey": session["SecretAccessKey"],
            "Token": session["SessionToken"],
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(session["Expiration"])),
        }
    finally:
        sts._sessions.pop(key, None)


@contextlib.contextmanager
def _served(session):
    key = secrets.token_hex(16)
    _sessions[key] = session
    try:
        yield key
    finally:
        del _sessions[key]


def _fetch(role, wanted):
    """Reads the secrets of a job with the execution role, as the ECS agent does.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
    """
    with _lock:
        client = _sdk.create_client(
            "secretsmanager",
            region_name=REGION,
            endpoint_url=ENDPOINT,
            aws_access_key_id=role["AccessKeyId"],
            aws_secret_access_key=role["SecretAccessKey"],
            aws_session_token=role["Token"],
            config=Config(retries={"max_attempts": 1}),
        )
    found, read = {}, {}
    for one in wanted:
        arn, key, stage, version = _reference(one["valueFrom"])
        version = {name: value for name, value in (("VersionStage", stage), ("VersionId", version)) if value}
        place = (arn, *version.values())
        try:
            if place not in read:
                read[place] = client.get_secret_value(SecretId=arn, **version).get("SecretString")
        except ClientError as error:
            raise _not_pulled(f"failed to fetch secret {arn} from secrets manager: {error}") from None
        found[one["name"]] = _value(read[place], arn, key)
    return found


def _reference(value_from):
    """arn:partition:secretsmanager:region:account:secret:name[:json-key:version-stage:version-id]"""
    parts = value_from.split(":")
    if parts[:1] != ["arn"] or parts[2:3] != ["secretsmanager"] or len(parts) not in (7, 10):
        raise _not_pulled("unexpected ARN format with parameters when trying to retrieve ASM secret")
    return ":".join(parts[:7]), *(parts[7:] or ("", "", ""))


def _value(text, arn, key):
    if not key:
        if text is None:
            raise _not_pulled(f"secret {arn} has no secret string")
        return text
    try:
        content = json.loads(text or "")
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise _not_pulled(f"secret {arn} is not a JSON object")
    if not isinstance(content.get(key), str):
        raise _not_pulled(f"retrieved secret {arn} did not contain a string for the json key {key}")
    return content[key]


def _not_pulled(reason):
    return Failed(f"ResourceInitializationError: unable to pull secrets or registry auth: {reason}")
