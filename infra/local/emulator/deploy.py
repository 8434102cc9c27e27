"""Deploys a template to the emulator: uploads the functions' zips, creates or updates the stack, waits for it.

Reads one JSON object on standard input: `endpoint`, `stack`, `template` (path), `parameters` (name to value), `bucket`,
`prefix`, `zips` (path per function). Prints one: `status` (`created`, `updated`, `unchanged`), `outputs`, `resources` (logical to
physical id). A failure is one line on standard error and exit code 1.
"""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

PAUSE = 0.05  # seconds between two looks at the stack
LONGEST_LINE = 500  # characters of an error; validation errors repeat what was sent
CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


class Failed(Exception):
    """What went wrong, in one line."""


def main():
    order = json.load(sys.stdin)
    session = boto3.Session(**CREDENTIALS)
    options = {"endpoint_url": order["endpoint"], "config": Config(retries={"max_attempts": 1}, read_timeout=120)}
    template = upload(session.client("s3", **options), order)
    stacks = session.client("cloudformation", **options)
    status = create_or_update(stacks, order, f"{order['endpoint']}/{template}")
    described = wait(stacks, order["stack"])
    print(
        json.dumps(
            {
                "status": status,
                "outputs": {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", [])},
                "resources": resources(stacks, order["stack"]),
            }
        )
    )


def upload(s3, order):
    """Gives the template's place: above 51,200 bytes CloudFormation takes one from S3 alone."""
    try:
        s3.head_bucket(Bucket=order["bucket"])
    except ClientError:
        s3.create_bucket(Bucket=order["bucket"])
    known = {one["Key"] for one in s3.list_objects_v2(Bucket=order["bucket"]).get("Contents", [])}
    wanted = {f"{order['prefix']}/{name}.zip": path for name, path in order["zips"].items()}
    for key, path in wanted.items():
        if key not in known:
            s3.upload_file(path, order["bucket"], key)
    for key in known - set(wanted):  # older code only makes the state larger
        if key.endswith(".zip"):
            s3.delete_object(Bucket=order["bucket"], Key=key)
    key = f"{order['stack']}.yaml"
    s3.upload_file(order["template"], order["bucket"], key)
    return f"{order['bucket']}/{key}"


def create_or_update(stacks, order, template):
    known = {one["ParameterKey"] for one in stacks.get_template_summary(TemplateURL=template)["Parameters"]}
    if unknown := set(order["parameters"]) - known:
        raise Failed(f"the template has no parameter {', '.join(sorted(unknown))}")
    call = {
        "StackName": order["stack"],
        "TemplateURL": template,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": str(value)} for name, value in order["parameters"].items()
        ],
    }
    present = state(stacks, order["stack"])
    if present in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"):  # nothing but a new start is possible
        stacks.delete_stack(StackName=order["stack"])
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


def wait(stacks, name):
    while True:
        stack = stacks.describe_stacks(StackName=name)["Stacks"][0]
        if stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return stack
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            reason = first_failure(stacks, name) or stack.get("StackStatusReason")
            raise Failed(f"{stack['StackStatus']}: {reason or 'emulator.log, in the state folder, says why'}")
        time.sleep(PAUSE)


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
