"""AWS Batch: what the calls may contain, which rights they need, and tags."""

import re
from urllib.parse import unquote

from ministack.core import iam_actions, iam_evaluator, responses
from ministack.core.router import extract_access_key_id
from ministack.services import batch

from .calls import Refused, answer, check, parsed

# https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html
MOST_DESCRIBED = 100
# https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
# https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html
DEFINITION_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
# https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
LONGEST_JOB = 30 * 1024  # bytes
LONGEST_DEFINITION = 24 * 1024
ARRAY_SIZES = range(2, 10_001)
MOST_DEPENDENCIES = 20
# https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html
ATTEMPTS = range(1, 11)
# https://docs.aws.amazon.com/batch/latest/APIReference/API_JobTimeout.html
SHORTEST_TIMEOUT = 60  # seconds
# https://docs.aws.amazon.com/batch/latest/APIReference/API_TerminateJob.html
LONGEST_REASON = 1_024
MOST_TAGS = 50


def install():
    check("batch", _refuse)
    answer("batch", "TagResource", _tag)
    answer("batch", "UntagResource", _untag)
    answer("batch", "ListTagsForResource", _list_tags)
    _name_resources()


def _refuse(call):
    data = call.data
    if call.operation == "DescribeJobs" and len(data.get("jobs") or []) > MOST_DESCRIBED:
        raise Refused("ClientException", "DescribeJobs takes 100 jobs at most.")
    if call.operation == "SubmitJob":
        _refuse_job(call, data)
    if call.operation == "RegisterJobDefinition":
        _refuse_definition(call, data)
    if call.operation in ("TerminateJob", "CancelJob") and len(data.get("reason") or "") > LONGEST_REASON:
        raise Refused("ClientException", "The reason has 1,024 characters at most.")


def _refuse_job(call, data):
    if not JOB_NAME.fullmatch(data.get("jobName") or ""):
        raise Refused("ClientException", "A job's name has 1 to 128 letters, digits, hyphens and underscores.")
    if len(call.body) > LONGEST_JOB:
        raise Refused("ClientException", "The payload of SubmitJob has more than 30 KiB.")
    if len(data.get("dependsOn") or []) > MOST_DEPENDENCIES:
        raise Refused("ClientException", "A job has 20 dependencies at most.")
    size = (data.get("arrayProperties") or {}).get("size")
    if size is not None and size not in ARRAY_SIZES:
        raise Refused("ClientException", "The size of an array is between 2 and 10,000.")
    _refuse_environment((data.get("containerOverrides") or {}).get("environment"))
    _refuse_limits(data)
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
    name = (data.get("jobDefinition") or "").rsplit("/", 1)[-1]
    _require(call, "batch:SubmitJob", f"{_prefix()}job-definition/{name}")


def _refuse_definition(call, data):
    if not DEFINITION_NAME.fullmatch(data.get("jobDefinitionName") or ""):
        raise Refused("ClientException", "A definition's name has 1 to 128 letters, digits, hyphens and underscores.")
    if len(call.body) > LONGEST_DEFINITION:
        raise Refused("ClientException", "The job definition has more than 24 KiB.")
    _refuse_limits(data)
    kinds = ("nodeProperties",) if data["type"] == "multinode" else ("containerProperties", "ecsProperties", "eksProperties")
    if not any(data.get(kind) for kind in kinds):
        raise Refused("ClientException", f"A definition of this type needs {' or '.join(kinds)}.")
    container = data.get("containerProperties")
    if container:
        _refuse_container(call, container, data.get("platformCapabilities") or [])


def _refuse_container(call, container, platforms):
    """https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerProperties.html"""
    if not container.get("image"):
        raise Refused("ClientException", "image must be specified.")
    _refuse_environment(container.get("environment"))
    required = {one.get("type") for one in container.get("resourceRequirements") or []}
    for kind, older in (("VCPU", "vcpus"), ("MEMORY", "memory")):
        if kind not in required and not container.get(older):
            raise Refused("ClientException", f"resourceRequirements must contain {kind}.")
    execution = container.get("executionRoleArn")
    if not execution and (container.get("secrets") or "FARGATE" in platforms):
        # https://docs.aws.amazon.com/batch/latest/userguide/execution-IAM-role.html
        raise Refused("ClientException", "executionRoleArn must be specified for secrets and for Fargate.")
    for role in filter(None, (execution, container.get("jobRoleArn"))):
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
        _require(call, "iam:PassRole", role, {"iam:PassedToService": "ecs-tasks.amazonaws.com"})


def _refuse_environment(environment):
    if wrong := [one.get("name") for one in environment or [] if (one.get("name") or "").startswith("AWS_BATCH")]:
        raise Refused("ClientException", f"Environment variables cannot start with AWS_BATCH: {', '.join(wrong)}.")


def _refuse_limits(data):
    attempts = (data.get("retryStrategy") or {}).get("attempts")
    if attempts is not None and attempts not in ATTEMPTS:
        raise Refused("ClientException", "The number of attempts is between 1 and 10.")
    seconds = (data.get("timeout") or {}).get("attemptDurationSeconds")
    if seconds is not None and seconds < SHORTEST_TIMEOUT:
        raise Refused("ClientException", "attemptDurationSeconds is at least 60.")


# ---- Rights -------------------------------------------------------------------------------------


def _prefix():
    return f"arn:aws:batch:{responses.get_region()}:{responses.get_account_id()}:"


def _require(call, action, resource, context=None):
    key = extract_access_key_id(call.headers, {})
    if iam_evaluator.enforce(key, action, "batch", responses.get_region(), resource, context) is not None:
        raise Refused("AccessDeniedException", f"The caller is not authorized to perform: {action} on {resource}", 403)


def _name_resources():
    """The emulator checks the actions of AWS Batch on `*`. Here, it checks those that have a resource.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
    """
    known = iam_actions.extract_resource_arn

    def extract(service, method, path, headers, body, *rest):
        found = _resource(path, parsed(body)) if service == "batch" else None
        return found or known(service, method, path, headers, body, *rest)

    iam_actions.extract_resource_arn = extract


def _resource(path, data):
    operation = path.strip("/").lower()
    if operation.startswith("v1/tags/"):
        return _tagged_arn(path)
    kinds = {
        "v1/submitjob": ("job-queue/", "jobQueue"),
        "v1/terminatejob": ("job/", "jobId"),
        "v1/canceljob": ("job/", "jobId"),
        "v1/registerjobdefinition": ("job-definition/", "jobDefinitionName"),
    }
    kind, member = kinds.get(operation, (None, None))
    name = data.get(member)
    if not isinstance(name, str):
        return None
    return name if name.startswith("arn:") else f"{_prefix()}{kind}{name}"


# ---- Tags: https://docs.aws.amazon.com/batch/latest/APIReference/API_TagResource.html ------------


def _tagged_arn(path):
    return unquote(path.split("/v1/tags/", 1)[-1])


def _tags(call):
    """The tags of a resource. The children of an array job have none."""
    arn = _tagged_arn(call.path)
    kind, _, name = arn.removeprefix(_prefix()).partition("/")
    definition, _, revision = name.partition(":")
    found = {
        "job": lambda: batch._jobs.get(name) if ":" not in name else None,
        "job-queue": lambda: batch._job_queues.get(name),
        "compute-environment": lambda: batch._compute_envs.get(name),
        "job-definition": lambda: next(
            (one for one in batch._job_definitions.get(definition) or [] if str(one["revision"]) == revision), None
        ),
    }.get(kind, lambda: None)()
    if found is None:
        raise Refused("ClientException", f"The resource {arn} does not exist or has no tags.")
    return found.setdefault("tags", {})


def _tag(call):
    tags = _tags(call)
    if len({**tags, **call.data["tags"]}) > MOST_TAGS:
        raise Refused("ClientException", "A resource has 50 tags at most.")
    if any(key.lower().startswith("aws:") for key in call.data["tags"]):
        raise Refused("ClientException", "The prefix aws: is reserved.")
    tags.update(call.data["tags"])
    return batch._json(200, {})


def _untag(call):
    tags = _tags(call)
    for key in call.query.get("tagKeys") or []:
        tags.pop(key, None)
    return batch._json(200, {})


def _list_tags(call):
    return batch._json(200, {"tags": dict(_tags(call))})
