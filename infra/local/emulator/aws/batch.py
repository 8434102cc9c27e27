"""AWS Batch with jobs that keep their status until they are moved.

The emulator itself ends every job immediately and sends no events. Here, SubmitJob leaves a job
RUNNABLE, and `move` (an action of `admin`) moves it as the compute environment would. TerminateJob
and CancelJob end it. Each change sends the documented event to the default bus:
https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html. Calls pass through the
emulator's dispatcher, so IAM is enforced. Retries follow `retryStrategy.attempts`.
"""

import copy
import json
import re

from ministack.services import batch, eventbridge

from .calls import Refused, check

# https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html
MOST_DESCRIBED = 100
# https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
FINAL = ("SUCCEEDED", "FAILED")
STATUSES = ("STARTING", "RUNNING", *FINAL)


def install():
    check("batch", _refuse)
    batch._DISPATCH.update(
        {
            "/v1/submitjob": _submit,
            "/v1/terminatejob": _terminate,
            "/v1/canceljob": _cancel,
            "/v1/describejobs": _describe,
        }
    )


def _refuse(call):
    if call.operation == "DescribeJobs" and len(call.data.get("jobs") or []) > MOST_DESCRIBED:
        raise Refused("ClientException", "DescribeJobs takes 100 jobs at most.")
    if call.operation == "SubmitJob" and not NAME.fullmatch(call.data.get("jobName") or ""):
        raise Refused("ClientException", "A job's name has 1 to 128 letters, digits, hyphens and underscores.")


def all_jobs():
    return [_shown(job) for job in batch._jobs.values()]


def move(job_id, request):
    """Moves a job to a status. Returns the status and body of the answer."""
    job, status = batch._jobs.get(job_id), request.get("status")
    if job is None:
        return 404, {"message": f"unknown job {job_id}"}
    if status not in STATUSES:
        return 400, {"message": f"status must be one of {', '.join(STATUSES)}"}
    if job["status"] in FINAL:
        return 409, {"message": f"the job is {job['status']}, which is final"}
    exit_code = request.get("exitCode", 0 if status == "SUCCEEDED" else 1)
    _advance(job, status, request.get("reason"), exit_code, request.get("event", True))
    return 200, _shown(job)


def repeat_event(job_id):
    """Sends the event of the job's status again: EventBridge delivers at least once."""
    job = batch._jobs.get(job_id)
    if job is None:
        return 404, {"message": f"unknown job {job_id}"}
    _emit(job)
    return 200, _shown(job)


def remove(job_id):
    """Removes a job, as AWS Batch does about a day after its end."""
    return (200, {}) if batch._jobs.pop(job_id, None) else (404, {"message": f"unknown job {job_id}"})


def _submit(request):
    name, queue = request.get("jobName"), request.get("jobQueue")
    definition = _definition(request.get("jobDefinition"))
    if not name or not queue:
        return batch.error_response_json("ClientException", "jobName and jobQueue are required", 400)
    if definition is None:
        return batch.error_response_json("ClientException", "JobDefinition does not exist", 400)
    job_id = batch.new_uuid()
    job = {
        "jobId": job_id,
        "jobArn": batch._job_arn(job_id),
        "jobName": name,
        "jobQueue": queue if queue.startswith("arn:") else batch._jq_arn(queue),
        "jobDefinition": definition["jobDefinitionArn"],
        "status": "RUNNABLE",
        "attempts": [],
        "createdAt": batch._now_ms(),
        "retryStrategy": request.get("retryStrategy") or definition.get("retryStrategy") or {"attempts": 1},
        "dependsOn": request.get("dependsOn") or [],
        "parameters": {**(definition.get("parameters") or {}), **(request.get("parameters") or {})},
        "container": _container(definition, request.get("containerOverrides") or {}),
        "tags": request.get("tags") or {},
        "platformCapabilities": ["EC2"],
        "isCancelled": False,
        "isTerminated": False,
    }
    batch._jobs[job_id] = job
    _emit(job)
    return batch._json(200, {"jobId": job_id, "jobName": name, "jobArn": job["jobArn"]})


def _definition(reference):
    name, _, revision = (reference or "").rsplit("/", 1)[-1].partition(":")
    known = batch._job_definitions.get(name) or []
    if revision:
        return next((one for one in known if str(one["revision"]) == revision), None)
    return known[-1] if known else None


def _container(definition, overrides):
    container = copy.deepcopy(definition.get("containerProperties") or {})
    for name, value in overrides.items():
        if name == "environment":
            kept = [one for one in container.get(name) or [] if one["name"] not in {new["name"] for new in value}]
            value = kept + value
        container[name] = value
    for name in ("environment", "secrets", "mountPoints", "volumes", "ulimits", "networkInterfaces"):
        container.setdefault(name, [])
    return container


def _describe(request):
    found = [batch._jobs.get(job_id) for job_id in request.get("jobs") or []]
    return batch._json(200, {"jobs": [_shown(job) for job in found if job]})


def _shown(job):
    return copy.deepcopy(dict(job))


def _terminate(request):
    job = batch._jobs.get(request.get("jobId"))
    if job and job["status"] not in FINAL:
        job["isTerminated"] = True
        _advance(job, "FAILED", request.get("reason"), None, True)
    return batch._json(200, {})


def _cancel(request):
    job = batch._jobs.get(request.get("jobId"))
    if job and job["status"] not in (*FINAL, "STARTING", "RUNNING"):
        job["isCancelled"] = True
        _advance(job, "FAILED", request.get("reason"), None, True)
    return batch._json(200, {})


def _advance(job, status, reason, exit_code, send_event):
    now = batch._now_ms()
    if status == "RUNNING":
        job["startedAt"] = now
    if status in FINAL:
        attempt = {"container": {"networkInterfaces": []}, "startedAt": job.get("startedAt", now), "stoppedAt": now}
        if exit_code is not None:
            attempt["container"]["exitCode"] = job["container"]["exitCode"] = exit_code
        attempt["statusReason"] = reason or "Essential container in task exited"
        job["attempts"].append(attempt)
        ended_by_hand = job["isTerminated"] or job["isCancelled"]
        if status == "FAILED" and not ended_by_hand and len(job["attempts"]) < job["retryStrategy"].get("attempts", 1):
            status = "RUNNABLE"  # the next attempt
        else:
            job["stoppedAt"] = now
    job["status"] = status
    if reason:
        job["statusReason"] = reason
    if send_event:
        _emit(job)


def _emit(job):
    entry = {
        "Source": "aws.batch",
        "DetailType": "Batch Job State Change",
        "Resources": [job["jobArn"]],
        "Detail": json.dumps({name: value for name, value in job.items() if not name.startswith("is")}),
    }
    eventbridge._ensure_default_bus()
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
