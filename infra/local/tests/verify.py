"""Tests infra/verify: its comparisons, a pass, an interruption, and a clear line for each fault.

verify.rs runs this with the address of an emulator and the name of a stack on it. Each fault is
patched into the running stack and taken back.
"""

import contextlib
import copy
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

STACK, ENDPOINT = sys.argv.pop(2), sys.argv.pop(1)
INFRA = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, INFRA)

from verification import compare, rights, run as running  # noqa: E402
from verification.template import Deployed  # noqa: E402

VERIFY = [os.path.join(INFRA, "verify"), "--stack", STACK]
TIMEOUT = 240  # seconds


def client(service):
    return boto3.client(service, endpoint_url=ENDPOINT, region_name="us-east-1")


def verify(*arguments, **environment):
    done = subprocess.run(
        [*VERIFY, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    return done.returncode, " ".join(f"{done.stdout}\n{done.stderr}".split())


class Comparisons(unittest.TestCase):
    def test_policies_are_equal_in_any_order_and_form(self):
        one = {"Sid": "A", "Effect": "Allow", "Action": ["a", "b"], "Resource": "r", "Condition": {"Bool": {"c": True}}}
        other = {"Sid": "A", "Effect": "Allow", "Action": ["b", "a"], "Resource": ["r"], "Condition": {"Bool": {"c": "true"}}}
        second = {"Sid": "B", "Effect": "Deny", "Action": "x", "Resource": "*"}
        document = lambda *statements: {"Statement": list(statements)}
        self.assertEqual(compare.policies(document(one, second), json.dumps(document(second, other))), [])
        for found, expected in (
            (document(one), "statement B is missing"),
            (document(one, second, {**one, "Sid": "C"}), "statement C is not in the template"),
            (document(one, {**second, "Effect": "Allow"}), "statement B: Effect must be Deny, and is Allow"),
            (document(one, {**second, "Condition": {}}), "statement B: Condition must not be there"),
        ):
            self.assertIn(expected, " ".join(compare.policies(document(one, second), found)))

    def test_members_are_compared_whatever_their_case_and_further_ones_are_ignored(self):
        self.assertEqual(compare.differences({"A": {"B": 1.0}}, {"a": {"b": "1", "c": 2}}), [])
        self.assertEqual(compare.differences({"A": [1]}, {"A": [1, 2]}), ["A must be 1, and is [1, 2]"])
        self.assertEqual(compare.differences({"A": 1}, {}), ["A is missing; it must be 1"])
        self.assertEqual(compare.exactly({}, {"A": "1"}, "setting"), ["setting.A is not in the template"])

    def test_dimensions_are_compared_in_any_order(self):
        metric = lambda *names: {"MetricName": "m", "Dimensions": [{"Name": name, "Value": name} for name in names]}
        self.assertEqual(compare.alarms(metric("a", "b"), metric("b", "a")), [])
        self.assertTrue(compare.alarms(metric("a"), metric("b")))

    def test_the_template_is_resolved(self):
        template = {
            "Parameters": {"P": {"Default": "d"}, "Q": {"Default": ""}},
            "Conditions": {"HasQ": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Q"}, ""]}]}},
            "Resources": {
                "Role": {"Type": "AWS::IAM::Role"},
                "Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventBusName": "b"}},
                "Absent": {"Type": "AWS::IAM::Role", "Condition": "HasQ"},
            },
        }
        stack = {"StackName": "s", "StackId": "arn:aws:cloudformation:r:1:stack/s/u", "Parameters": [{"ParameterKey": "P", "ParameterValue": "p"}]}
        physical = [{"LogicalResourceId": "Role", "PhysicalResourceId": "role"}, {"LogicalResourceId": "Rule", "PhysicalResourceId": "b|rule"}]
        deployed = Deployed(stack, physical, template)
        for value, expected in (
            ({"Fn::Sub": "${P}-${AWS::StackName}-${Role.Arn}"}, "p-s-arn:aws:iam::1:role/role"),
            ({"Fn::GetAtt": ["Rule", "Arn"]}, "arn:aws:events:r:1:rule/b/rule"),
            ([{"Fn::If": ["HasQ", 1, {"Ref": "AWS::NoValue"}]}, 2], [2]),
        ):
            self.assertEqual(deployed.resolve(value), expected)
        self.assertEqual(list(deployed.of_type("AWS::IAM::Role")), ["Role"])

    def test_rights_that_one_context_fits_are_simulated_together(self):
        keys = lambda *partitions: {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(partitions)}}
        statement = lambda sid, condition: {"Sid": sid, "Effect": "Allow", "Action": "a", "Resource": "r", "Condition": condition}
        groups = rights.grouped([statement("A", keys("X#*", "Y#*")), statement("B", keys("Y#*")), statement("C", keys("Z#*"))])
        self.assertEqual([(context["dynamodb:LeadingKeys"], len(wanted)) for context, wanted in groups], [(["Y#1"], 2), (["Z#1"], 1)])

    def test_the_cause_of_a_log_line_has_codes_and_no_other_field(self):
        line = {"level": "ERROR", "error.code": "delivery", "error.cause": "InvalidParameterException", "body": "secret"}
        self.assertEqual(running.cause(json.dumps(line)), "delivery InvalidParameterException")
        self.assertIsNone(running.cause(json.dumps({**line, "level": "INFO"})))


def setUpModule():
    """With a break-glass principal, a trail must record read events."""
    client("s3").create_bucket(Bucket="trail")
    client("cloudtrail").create_trail(Name="all", S3BucketName="trail")
    selectors = [{"ReadWriteType": "All", "IncludeManagementEvents": True}]
    client("cloudtrail").put_event_selectors(TrailName="all", EventSelectors=selectors)
    client("cloudtrail").start_logging(Name="all")


@contextlib.contextmanager
def trail_without_read_events():
    put = lambda kind: client("cloudtrail").put_event_selectors(
        TrailName="all", EventSelectors=[{"ReadWriteType": kind, "IncludeManagementEvents": True}]
    )
    put("WriteOnly")
    yield
    put("All")


def physical(logical):
    return client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=logical)["StackResourceDetail"]["PhysicalResourceId"]


@contextlib.contextmanager
def patched_setting(function, **variables):
    functions, name = client("lambda"), physical(function)
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**before, **variables}})
    yield
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": before})


@contextlib.contextmanager
def missing_right():
    iam, role = client("iam"), physical("LaunchRunRole")
    document = iam.get_role_policy(RoleName=role, PolicyName="rights")["PolicyDocument"]
    fewer = {**document, "Statement": [one for one in document["Statement"] if one["Sid"] != "Copies"]}
    put = lambda one: iam.put_role_policy(RoleName=role, PolicyName="rights", PolicyDocument=json.dumps(one))
    put(fewer)
    yield
    put(document)


class TagsWithHash(BaseHTTPRequestHandler):
    """Passes calls on to the emulator as launch-run, with `WS#42` as the scope tag of a copy."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).replace(b"workspace/", b"WS#")
        with urllib.request.urlopen(f"{ENDPOINT}/_local/functions/{physical('LaunchRun')}/credentials") as answer:
            found = json.load(answer)
        credentials = Credentials(found["accessKeyId"], found["secretAccessKey"], found["sessionToken"])
        kept = {name: self.headers[name] for name in ("content-type", "x-amz-target")}
        signed = AWSRequest("POST", f"{ENDPOINT}/", kept, body)
        SigV4Auth(credentials, "secretsmanager", "us-east-1").add_auth(signed)
        try:
            with urllib.request.urlopen(urllib.request.Request(signed.url, body, dict(signed.headers), method="POST")) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def hash_in_a_tag():
    server = ThreadingHTTPServer(("127.0.0.1", 0), TagsWithHash)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with patched_setting("LaunchRun", AWS_ENDPOINT_URL_SECRETS_MANAGER=f"http://127.0.0.1:{server.server_port}"):
        yield
    server.shutdown()
    server.server_close()
    server.server_close()


@contextlib.contextmanager
def source_arn_in_a_key_policy():
    kms, key = client("kms"), physical("AtRestKey")
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    policy = json.loads(before)
    statement, = (one for one in policy["Statement"] if one["Sid"] == "EventsToDeadLetters")
    statement["Condition"] = {"ArnLike": {"aws:SourceArn": "arn:aws:events:us-east-1:123456789012:rule/*"}}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    yield
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)


@contextlib.contextmanager
def disabled_rule():
    rule = {"Name": physical("RunEventRule").split("|")[-1], "EventBusName": physical("RunEvents")}
    client("events").disable_rule(**rule)
    yield
    client("events").enable_rule(**rule)


@contextlib.contextmanager
def bus_for_another_account():
    bus = {"EventBusName": physical("EnvironmentEvents"), "StatementId": "Another"}
    client("events").put_permission(**bus, Action="events:PutEvents", Principal="111111111111")
    yield
    client("events").remove_permission(**bus)


@contextlib.contextmanager
def environment_in_a_forbidden_account():
    table, rows = physical("Table"), client("dynamodb")
    other = {"role": {"S": "arn:aws:iam::111111111111:role/pipeline-secrets-lab"}, "workspace": {"N": "42"}}
    keys = [{"pk": {"S": "ENVIRONMENTS"}, "sk": {"S": name}} for name in ("forbidden", "deleted")]
    for key, attributes in zip(keys, (other, {**other, "ttl": {"N": "4000000000"}})):
        rows.put_item(TableName=table, Item={**key, **attributes})
    yield
    for key in keys:
        rows.delete_item(TableName=table, Key=key)


@contextlib.contextmanager
def missing_duty():
    iam, role = client("iam"), physical("CleanupRunRole")
    document = iam.get_role_policy(RoleName=role, PolicyName="rights")["PolicyDocument"]
    text = json.dumps(document)
    put = lambda one: iam.put_role_policy(RoleName=role, PolicyName="rights", PolicyDocument=one)
    put(text.replace('"remove"', '"observe"'))
    yield
    put(text)


@contextlib.contextmanager
def wrong_dead_letter_policy():
    sqs, queue = client("sqs"), physical("UndeliveredEvents")
    before = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]["Policy"]
    policy = json.loads(before)
    policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"] = "arn:aws:events:us-east-1:123456789012:rule/other"
    put = lambda text: sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": text})
    put(json.dumps(policy))
    yield
    put(before)


@contextlib.contextmanager
def route_without_authorizer():
    gateway, api, authorizer = client("apigatewayv2"), physical("Api"), physical("TokenAuthorizer")
    route = {"ApiId": api, "RouteId": physical("ListPipelineSecretsRoute").split("/")[-1]}
    gateway.update_route(**route, AuthorizationType="NONE")
    yield
    gateway.update_route(**route, AuthorizationType="CUSTOM", AuthorizerId=authorizer)


@contextlib.contextmanager
def alarm_on_a_wrong_dimension():
    watch = client("cloudwatch")
    before, = watch.describe_alarms(AlarmNames=[physical("SecondClaimsAlarm")])["MetricAlarms"]
    members = (
        "AlarmName", "AlarmDescription", "Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold",
        "ComparisonOperator", "TreatMissingData", "Dimensions",
    )
    alarm = {name: before[name] for name in members}
    changed = copy.deepcopy(alarm)
    changed["Dimensions"][0]["Value"] = "another-stack"
    watch.put_metric_alarm(**changed)
    yield
    watch.put_metric_alarm(**alarm)


@contextlib.contextmanager
def no_time_to_live():
    table = {"TableName": physical("Table")}
    put = lambda enabled: client("dynamodb").update_time_to_live(
        **table, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": "ttl"}
    )
    put(False)
    yield
    put(True)


@contextlib.contextmanager
def stage_without_logs():
    gateway, stage = client("apigatewayv2"), {"ApiId": physical("Api"), "StageName": "$default"}
    before = gateway.get_stage(**stage)["AccessLogSettings"]
    gateway.update_stage(**stage, AccessLogSettings={})
    yield
    gateway.update_stage(**stage, AccessLogSettings=before)


# The fault, the checks to make, and a part of what each must say.
FAULTS = (
    (missing_right, {"roles": "LaunchRunRole .* statement Copies is missing", "bundle": "POST /launches: the API answered 5..: .*AccessDenied"}),
    (hash_in_a_tag, {"bundle": "POST /launches: the API answered 5..: .*InvalidParameter"}),
    (source_arn_in_a_key_policy, {"keys": "policy of key AtRestKey .* statement EventsToDeadLetters: Condition must not be there: .*aws:SourceArn"}),
    (disabled_rule, {"rules": "rule RunEventRule .* is DISABLED, and must be ENABLED"}),
    (bus_for_another_account, {"bus": "policy of bus EnvironmentEvents .* statement Another is not in the template"}),
    (environment_in_a_forbidden_account, {
        "environments": "are allowed - compute environment forbidden of workspace 42 is in account 111111111111, which is not in ComputeAccounts",
    }),
    (missing_duty, {
        "roles": "CleanupRunRole .* Condition must be .*remove.*, and is .*observe",
        "rights": "role CleanupRunRole .* may not call sts:AssumeRole on arn:aws:iam::.*:role/pipeline-secrets-",
    }),
    (wrong_dead_letter_policy, {"queues": "policy of queue UndeliveredEvents .* statement OurRules: Condition must be .* and is .*rule/other"}),
    (route_without_authorizer, {
        "routes": r"route GET /pipeline-secrets \(ListPipelineSecretsRoute\): AuthorizationType must be CUSTOM, and is NONE",
        "access": "a caller without a token lists secrets: the API answered .* and must answer 401",
    }),
    (alarm_on_a_wrong_dimension, {"alarms": "alarm SecondClaimsAlarm: Dimensions.Deployment must be \S+, and is another-stack"}),
    (lambda: patched_setting("LaunchRun", RUN_PREFIX="zzzz"), {"functions": "LaunchRun .* setting.RUN_PREFIX must be .*, and is zzzz"}),
    (no_time_to_live, {"table": "has no time to live on ttl"}),
    (trail_without_read_events, {"trail": "no CloudTrail trail .* records read and write management events"}),
    (stage_without_logs, {"stage": r"stage \$default .* writes no access log"}),
)


class Stack(unittest.TestCase):
    maxDiff = None

    def test_a_fault_is_named(self):
        # The next test, in alphabetical order, shows that the faults were taken back.
        for fault, expected in FAULTS:
            with fault():
                code, printed = verify(*(word for check in expected for word in ("--only", check)))
            with self.subTest(sorted(expected)):
                self.assertEqual(code, 1, printed)
                self.assertNotIn("Left of", printed)
                for check, text in expected.items():
                    self.assertRegex(printed, rf"does not work {check} .*{text}")

    def test_it_passes_while_another_is_interrupted_and_both_leave_nothing(self):
        # Much is left to do after the line that the signal answers.
        other = subprocess.Popen([*VERIFY, "--only", "audit"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        passing = subprocess.Popen([*VERIFY, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in other.stdout:
            if re.match(r"works +bundle", line):
                os.killpg(other.pid, signal.SIGINT)  # as a terminal does for Ctrl-C
                break
        printed, errors = other.communicate(timeout=TIMEOUT)
        self.assertEqual(other.returncode, 130, errors)
        self.assertIn("Removed what was made", printed)
        self.assertIn("interrupted", errors)

        printed, errors = passing.communicate(timeout=TIMEOUT)
        self.assertEqual(passing.returncode, 0, printed + errors)
        self.assertEqual((errors, printed.count("\n")), ("", 1))
        found = json.loads(printed)
        self.assertEqual((found["doesNotWork"], found["left"]), (0, []))
        self.assertEqual({one["check"] for one in found["checks"] if one["result"] == "not tried"}, {"metrics"})
        self.nothing_is_left()

    def nothing_is_left(self):
        rows = client("dynamodb").get_paginator("scan").paginate(TableName=physical("Table"))
        kinds = {row["pk"]["S"].split("#")[0] for page in rows for row in page["Items"]}
        self.assertLessEqual(kinds, {"AUDIT", "RUN", "IDEM", "LAUNCH"})
        secrets = client("secretsmanager").list_secrets()["SecretList"]
        self.assertEqual([one["Name"] for one in secrets], [])
        roles = [one["RoleName"] for one in client("iam").list_roles()["Roles"]]
        self.assertEqual([name for name in roles if "verify-" in name], [])

    def test_it_says_why_it_cannot_begin(self):
        none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
        with tempfile.TemporaryDirectory() as folder:
            fake = os.path.join(folder, "aws")
            with open(fake, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\necho 'An error occurred (ExpiredToken) when calling the X operation: The token has expired' >&2\nexit 255\n")
            os.chmod(fake, 0o755)
            expired = {"PATH": f"{folder}:{os.environ['PATH']}"}
            for arguments, environment, expected in (
                (("--stack", "no-such-stack"), {}, "there is no stack no-such-stack in this account and region"),
                ((), none, "AWS refused the credentials"),
                ((), expired, "AWS refused the credentials"),
            ):
                with self.subTest(expected):
                    code, printed = verify(*arguments, **environment)
                    self.assertEqual(code, 2, printed)
                    self.assertIn(expected, printed)
                    self.assertNotIn("Traceback", printed)


if __name__ == "__main__":
    unittest.main(verbosity=0)
