"""Deploys a template to the emulator: uploads the functions' zips and creates or updates the stack.

Reads one JSON object on standard input: `endpoint`, `stack`, `template` (path), `parameters` (name
to value), `bucket`, `prefix`, `zips` (path per function), and `account` and `region` unless they are
the deployment's own. Prints one JSON object: `status`
(`created`, `updated`, `unchanged`), `outputs`, `resources` (logical to physical id). A failure is
one line on standard error and exit code 1.
"""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

POLL_INTERVAL = 0.05  # seconds
LONGEST_LINE = 500  # characters of an error; validation errors repeat the input
CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


class Failed(Exception):
    """A failure, described on one line."""


def main():
    request = json.load(sys.stdin)
    session = boto3.Session(**credentials(request))
    options = {"endpoint_url": request["endpoint"], "config": Config(retries={"max_attempts": 1}, read_timeout=120)}
    template = upload(session.client("s3", **options), request)
    stacks = session.client("cloudformation", **options)
    status = create_or_update(stacks, request, f"{request['endpoint']}/{template}")
    described = wait(stacks, request["stack"])
    print(
        json.dumps(
            {
                "status": status,
                "outputs": {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", [])},
                "resources": resources(stacks, request["stack"]),
            }
        )
    )


def credentials(request):
    """Those of the operator, or of the root user of another account."""
    elsewhere = {"aws_access_key_id": request.get("account"), "region_name": request.get("region")}
    return CREDENTIALS | {name: value for name, value in elsewhere.items() if value}


def upload(s3, request):
    """Uploads the template and returns its path: over 51,200 bytes, CloudFormation needs S3."""
    try:
        s3.head_bucket(Bucket=request["bucket"])
    except ClientError:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        region = s3.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=request["bucket"], **place)
    known = {one["Key"] for one in s3.list_objects_v2(Bucket=request["bucket"]).get("Contents", [])}
    wanted = {f"{request['prefix']}/{name}.zip": path for name, path in request["zips"].items()}
    for key, path in wanted.items():
        if key not in known:
            s3.upload_file(path, request["bucket"], key)
    for key in known - set(wanted):  # old code would only enlarge the state
        if key.endswith(".zip"):
            s3.delete_object(Bucket=request["bucket"], Key=key)
    key = f"{request['stack']}.yaml"
    s3.upload_file(request["template"], request["bucket"], key)
    return f"{request['bucket']}/{key}"


def create_or_update(stacks, request, template):
    known = {one["ParameterKey"] for one in stacks.get_template_summary(TemplateURL=template)["Parameters"]}
    if unknown := set(request["parameters"]) - known:
        raise Failed(f"unknown template parameter: {', '.join(sorted(unknown))}")
    call = {
        "StackName": request["stack"],
        "TemplateURL": template,
        "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": str(value)} for name, value in request["parameters"].items()
        ],
    }
    present = wait_for_earlier_deployment(stacks, request["stack"])
    # A stack in these states can only be deleted.
    if present in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"):
        stacks.delete_stack(StackName=request["stack"])
        present = None
    if present in (None, "DELETE_COMPLETE"):
        stacks.create_stack(**call)
        return "created"
    try:
        stacks.update_stack(**call)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return "unchanged"
        raise
    return "updated"


def state(stacks, name):
    try:
        return stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    except ClientError:
        return None


def wait_for_earlier_deployment(stacks, name):
    """Returns the stack's state. A deployment goes on if the process that started it was killed."""
    while (present := state(stacks, name)) and present.endswith("IN_PROGRESS") and present != "REVIEW_IN_PROGRESS":
        time.sleep(POLL_INTERVAL)
    return present


def wait(stacks, name):
    while True:
        stack = stacks.describe_stacks(StackName=name)["Stacks"][0]
        if stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return stack
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            reason = first_failure(stacks, name) or stack.get("StackStatusReason")
            raise Failed(f"{stack['StackStatus']}: {reason or 'see emulator.log in the state folder'}")
        time.sleep(POLL_INTERVAL)


def first_failure(stacks, name):
    events = stacks.describe_stack_events(StackName=name)["StackEvents"]
    failed = [
        one
        for one in events
        if one["ResourceStatus"].endswith("_FAILED") and "cancelled" not in one.get("ResourceStatusReason", "")
    ]
    return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', '')}" if failed else None


def resources(stacks, name):
    pages = stacks.get_paginator("list_stack_resources").paginate(StackName=name)
    return {
        one["LogicalResourceId"]: one["PhysicalResourceId"] for page in pages for one in page["StackResourceSummaries"]
    }


if __name__ == "__main__":
    try:
        main()
    except (Failed, ClientError) as error:
        sys.exit(" ".join(str(error).split())[:LONGEST_LINE])
