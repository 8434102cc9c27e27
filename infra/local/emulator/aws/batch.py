"""AWS Batch with jobs that keep their status until they are moved, or are executed.

The emulator itself ends every job immediately and sends no events. Here, SubmitJob leaves a job
RUNNABLE. If its queue has the tag `local:executes-jobs` with the value `true`, `batch_jobs` executes
it. Otherwise `move` (an action of `admin`) moves it as the compute environment would. TerminateJob
and CancelJob end it. Each change sends the documented event to the default bus:
https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html. Calls pass through the
emulator's dispatcher, so IAM is enforced. Retries follow `retryStrategy.attempts`.
"""

import copy
import json

from ministack.services import batch, eventbridge

from . import batch_jobs, batch_rules

EXECUTES = "local:executes-jobs"
FINAL = ("SUCCEEDED", "FAILED")
STATUSES = ("STARTING", "RUNNING", *FINAL)
# What RegisterJobDefinition of the emulator drops.
OF_A_DEFINITION = ("parameters", "platformCapabilities", "propagateTags", "retryStrategy", "timeout")


def install():
    batch_rules.install()
    batch_jobs.install(lambda job, status, reason, code: _advance(job, status, reason, code, True))
    batch._DISPATCH.update(
        {
            "/v1/registerjobdefinition": _register,
            "/v1/submitjob": _submit,
            "/v1/terminatejob": _terminate,
            "/v1/canceljob": _cancel,
            "/v1/describejobs": _describe,
        }
    )


def resume():
    """Continues to execute the jobs of the saved state."""
    batch_jobs.resume([job for job in batch._jobs.values() if _executes(job) and not _is_parent(job)])


def all_jobs():
    return [_shown(job) for job in batch._jobs.values()]


def one_job(job_id):
    job = batch._jobs.get(job_id)
    return (200, _shown(job)) if job else (404, {"message": f"unknown job {job_id}"})


def output(job_id):
    """The output of each attempt of an executed job."""
    return (200, {"attempts": batch_jobs.output(job_id)}) if job_id in batch._jobs else one_job(job_id)


def move(job_id, request):
    """Moves a job to a status. Returns the status and body of the answer."""
    job, status = batch._jobs.get(job_id), request.get("status")
    if job is None:
        return 404, {"message": f"unknown job {job_id}"}
    if status not in STATUSES:
        return 400, {"message": f"status must be one of {', '.join(STATUSES)}"}
    if job["status"] in FINAL:
        return 409, {"message": f"the job is {job['status']}, which is final"}
    if _executes(job):
        return 409, {"message": "the queue of the job executes it, so it moves by itself"}
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
    batch_jobs.stop(job_id, "removed")
    return (200, {}) if batch._jobs.pop(job_id, None) else (404, {"message": f"unknown job {job_id}"})


def _register(request):
    answered = batch._register_job_definition(request)
    if answered[0] == 200:
        definition = batch._job_definitions[request["jobDefinitionName"]][-1]
        definition |= {name: request[name] for name in OF_A_DEFINITION if name in request}
    return answered


def _submit(request):
    name, queue = request.get("jobName"), request.get("jobQueue")
    definition = _definition(request.get("jobDefinition"))
    if not name or not queue:
        return batch.error_response_json("ClientException", "jobName and jobQueue are required", 400)
    if definition is None:
        return batch.error_response_json("ClientException", "JobDefinition does not exist", 400)
    job_id = batch.new_uuid()
    overrides = request.get("containerOverrides") or {}
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
        "timeout": request.get("timeout") or definition.get("timeout") or {},
        "dependsOn": request.get("dependsOn") or [],
        "parameters": {**(definition.get("parameters") or {}), **(request.get("parameters") or {})},
        "container": _container(definition, overrides),
        "tags": request.get("tags") or {},
        "platformCapabilities": definition.get("platformCapabilities") or ["EC2"],
        "isCancelled": False,
        "isTerminated": False,
        "_overrides": overrides,
    }
    size = (request.get("arrayProperties") or {}).get("size")
    if size:
        job["arrayProperties"] = {"size": size, "statusSummary": {}}
    children = _children(job) if size and _executes(job) else []
    for one in (job, *children):
        batch._jobs[one["jobId"]] = one
        _emit(one)
    for one in (children or [job]) if _executes(job) else []:
        batch_jobs.start(one)
    return batch._json(200, {"jobId": job_id, "jobName": name, "jobArn": job["jobArn"]})


def _executes(job):
    queue = batch._job_queues.get(job["jobQueue"].rsplit("/", 1)[-1]) or {}
    return (queue.get("tags") or {}).get(EXECUTES) == "true"


# ---- Array jobs: https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html --------------


def _children(parent):
    parent["status"] = "PENDING"
    children = []
    for index in range(parent["arrayProperties"]["size"]):
        child = copy.deepcopy(parent)
        child |= {"jobId": f"{parent['jobId']}:{index}", "jobArn": f"{parent['jobArn']}:{index}"}
        children.append(child | {"status": "RUNNABLE", "arrayProperties": {"index": index}})
    return children


def _is_parent(job):
    return "size" in job.get("arrayProperties", {})


def _children_of(job):
    return [one for name, one in batch._jobs.items() if name.startswith(f"{job['jobId']}:")]


def _follow_children(job):
    """A parent ends after its children. It fails if one of them fails."""
    parent = batch._jobs.get(job["jobId"].partition(":")[0])
    if parent is None or not _is_parent(parent) or parent["status"] in FINAL:
        return
    statuses = [child["status"] for child in _children_of(parent)]
    parent["arrayProperties"]["statusSummary"] = {status: statuses.count(status) for status in sorted(set(statuses))}
    if all(status in FINAL for status in statuses):
        parent["status"] = "FAILED" if "FAILED" in statuses else "SUCCEEDED"
        parent["stoppedAt"] = batch._now_ms()
        _emit(parent)


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
    return copy.deepcopy({name: value for name, value in job.items() if not name.startswith("_")})


def _terminate(request):
    job = batch._jobs.get(request.get("jobId"))
    for one in (_children_of(job) or [job]) if job else []:
        if one["status"] not in FINAL:
            one["isTerminated"] = True
            if not batch_jobs.stop(one["jobId"], request.get("reason")):
                _advance(one, "FAILED", request.get("reason"), None, True)
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
        if "taskArn" in job["container"]:
            attempt["container"]["taskArn"] = job["container"]["taskArn"]
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
    if job["status"] in FINAL:
        _follow_children(job)


def _emit(job):
    entry = {
        "Source": "aws.batch",
        "DetailType": "Batch Job State Change",
        "Resources": [job["jobArn"]],
        "Detail": json.dumps({name: value for name, value in job.items() if not name.startswith(("is", "_"))}),
    }
    eventbridge._ensure_default_bus()
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
