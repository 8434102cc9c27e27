"""Actions for the local stack and the tests that AWS does not have, under /_local/ of the AWS port.

GET /_local/status
    Returns the process id, the deployed stacks, and when the state was saved (`Snapshots.status`).
POST /_local/stop
    Sends SIGTERM to this process, which saves its state and ends.
POST /_local/save
    Saves the state now, as SIGTERM does. Answers 409 if this fails.
GET /_local/functions/{name}/credentials
    Returns the credentials of a function, to test what its role may do.
GET /_local/batch/jobs
    Lists all AWS Batch jobs.
GET /_local/batch/jobs/{id}
    Returns a job as DescribeJobs shows it.
GET /_local/batch/jobs/{id}/output
    Returns the output of each attempt of an executed job.
GET /_local/batch/credentials/{key}
    Returns the credentials of the role of a running job, as the ECS agent does.
PUT /_local/batch/jobs/{id}
    {"status": "STARTING"|"RUNNING"|"SUCCEEDED"|"FAILED", "exitCode"?, "reason"?, "event"?: false}
    Moves a job to a status.
POST /_local/batch/jobs/{id}/event
    Sends the event of the job's current status again.
DELETE /_local/batch/jobs/{id}
    Removes a job.
PUT /_local/secretsmanager/list
    {"asOf": seconds since 1970 or null}
    Makes ListSecrets show the account as of this time, at most five minutes ago.

Actions on AWS Batch and Secrets Manager take `account` and `region` in the body, for resources that
are not in the deployment's own.

Only clients that use a loopback address as the host are served. A web page with another host name
is refused.
"""

import json
import os
import signal

from aws import batch, batch_jobs, secretsmanager
from http_io import answer, read_body, read_headers
from ministack.core import lambda_runtime
from ministack.core.responses import request_scope
from ministack.services import apigateway, lambda_svc

ACCOUNT, REGION = os.environ["MINISTACK_ACCOUNT_ID"], os.environ["MINISTACK_REGION"]
LOOPBACK = {"127.0.0.1", "localhost"}


async def serve(scope, receive, send, snapshots):
    host = read_headers(scope).get("host", "").rsplit(":", 1)[0]
    body = await read_body(receive)
    if host not in LOOPBACK:
        await answer(send, 403, {"message": "use a loopback address as the host"})
        return
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        await answer(send, 400, {"message": "malformed JSON"})
        return
    parts = scope["path"].strip("/").split("/")[1:]
    if (scope["method"], *parts) == ("POST", "save"):
        failed = await snapshots.save() if snapshots else "the stack is temporary"
        status, content = (409, {"message": f"the state was not saved: {failed}"}) if failed else (200, {})
    else:
        # Jobs and lists of another account or region: with `account` and `region` in the body.
        with request_scope(request.get("account", ACCOUNT), request.get("region", REGION)):
            status, content = _dispatch(scope["method"], parts, request, snapshots)
    await answer(send, status, content)


def _dispatch(method, parts, request, snapshots):
    match (method, *parts):
        case ("GET", "status"):
            names = [api.get("name") for api in apigateway._apis._data.values()]
            saved = snapshots.status() if snapshots else None
            return 200, {"pid": os.getpid(), "deployments": sorted(names), "saved": saved}
        case ("POST", "stop"):
            os.kill(os.getpid(), signal.SIGTERM)
            return 202, {}
        case ("GET", "functions", name, "credentials"):
            return _credentials(name)
        case ("GET", "batch", "jobs"):
            return 200, {"jobs": batch.all_jobs()}
        case ("GET", "batch", "jobs", job):
            return batch.one_job(job)
        case ("GET", "batch", "jobs", job, "output"):
            return batch.output(job)
        case ("GET", "batch", "credentials", key):
            found = batch_jobs.credentials(key)
            return (200, found) if found else (404, {"message": "unknown key"})
        case ("PUT", "batch", "jobs", job):
            return batch.move(job, request)
        case ("POST", "batch", "jobs", job, "event"):
            return batch.repeat_event(job)
        case ("DELETE", "batch", "jobs", job):
            return batch.remove(job)
        case ("PUT", "secretsmanager", "list"):
            secretsmanager.list_as_of(request.get("asOf"))
            return 200, {}
    return 404, {"message": "unknown action"}


def _credentials(name):
    function = lambda_svc._functions.get(name)
    if function is None:
        return 404, {"message": f"unknown function {name}"}
    found = lambda_runtime.execution_credentials(function["config"])
    return 200, {
        "accessKeyId": found["AWS_ACCESS_KEY_ID"],
        "secretAccessKey": found["AWS_SECRET_ACCESS_KEY"],
        "sessionToken": found["AWS_SESSION_TOKEN"],
    }
