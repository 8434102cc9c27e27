"""What the local stack and the tests ask of the emulator beyond AWS, under /_local/ of the AWS port.

GET  /_local/status                       process id and deployed stacks
POST /_local/stop                         sends itself SIGTERM: the state is written, then it ends
POST /_local/save                         writes the state now, as SIGTERM does
GET  /_local/functions/{name}/credentials the credentials that function runs with, to try what its role may do
GET  /_local/batch/jobs                   every AWS Batch job
PUT  /_local/batch/jobs/{id}              {"status": "STARTING"|"RUNNING"|"SUCCEEDED"|"FAILED", "exitCode"?, "reason"?, "event"?: false}
POST /_local/batch/jobs/{id}/event        sends the event of the job's present state once more
DELETE /_local/batch/jobs/{id}            AWS Batch forgets the job
PUT  /_local/secretsmanager/list          {"asOf": seconds since 1970 or null}: ListSecrets shows the account as of then, and
                                          at most as of five minutes ago

Only for clients on this machine that name it by a loopback address: a web page cannot reach it by another name.
"""

import json
import os
import signal

from aws import batch, secretsmanager
from http_io import answer, read_body, read_headers
from ministack import app as ministack
from ministack.core import lambda_runtime, persistence
from ministack.core.responses import request_scope
from ministack.services import apigateway, lambda_svc

ACCOUNT, REGION = os.environ["MINISTACK_ACCOUNT_ID"], os.environ["MINISTACK_REGION"]
LOOPBACK = {"127.0.0.1", "localhost"}


async def serve(scope, receive, send):
    host = read_headers(scope).get("host", "").rsplit(":", 1)[0]
    body = await read_body(receive)
    if host not in LOOPBACK:
        await answer(send, 403, {"message": "only by a loopback address"})
        return
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        await answer(send, 400, {"message": "malformed JSON"})
        return
    parts = scope["path"].strip("/").split("/")[1:]
    with request_scope(ACCOUNT, REGION):
        status, content = _dispatch(scope["method"], parts, request)
    await answer(send, status, content)


def _dispatch(method, parts, request):
    match (method, *parts):
        case ("GET", "status"):
            names = [api.get("name") for api in apigateway._apis._data.values()]
            return 200, {"pid": os.getpid(), "deployments": sorted(names)}
        case ("POST", "stop"):
            os.kill(os.getpid(), signal.SIGTERM)
            return 202, {}
        case ("POST", "save"):
            persistence.save_all(ministack._build_persistence_save_dict())
            return 200, {}
        case ("GET", "functions", name, "credentials"):
            return _credentials(name)
        case ("GET", "batch", "jobs"):
            return 200, {"jobs": batch.every()}
        case ("PUT", "batch", "jobs", job):
            return batch.move(job, request)
        case ("POST", "batch", "jobs", job, "event"):
            return batch.repeat_event(job)
        case ("DELETE", "batch", "jobs", job):
            return batch.forget(job)
        case ("PUT", "secretsmanager", "list"):
            secretsmanager.list_as_of(request.get("asOf"))
            return 200, {}
    return 404, {"message": "no such action"}


def _credentials(name):
    function = lambda_svc._functions.get(name)
    if function is None:
        return 404, {"message": f"no function {name}"}
    found = lambda_runtime.execution_credentials(function["config"])
    return 200, {
        "accessKeyId": found["AWS_ACCESS_KEY_ID"],
        "secretAccessKey": found["AWS_SECRET_ACCESS_KEY"],
        "sessionToken": found["AWS_SESSION_TOKEN"],
    }
