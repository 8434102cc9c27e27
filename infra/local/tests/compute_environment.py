"""infra/compute-environment.yaml on the emulator, in another account and region: each duty permits
what it needs and nothing else, each statement is needed, and the script deploys it from what the
service answers.

Arguments: the folder of the checkout, and a file with the `trustPolicy` and the `parameters` that the
service gives for credentials.
"""

import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

HOME, OTHER, REGION = "123456789012", "210987654321", "eu-west-1"
ROOT = sys.argv[1]
with open(sys.argv[2], encoding="utf-8") as setup:
    SETUP = json.load(setup)
PARAMETERS = SETUP["parameters"]
ROLE = f"arn:aws:iam::{OTHER}:role/{PARAMETERS['RoleName']}"
DUTIES = ("check", "deliver", "observe", "remove")
FUNCTIONS = dict(zip(DUTIES, PARAMETERS["ServiceRoles"].split(","), strict=True))
COPY, NO_JOB = f"tower-{PARAMETERS['RunPrefix']}xxxxxxxxxx", "00000000-0000-0000-0000-000000000000"
with open(os.path.join(ROOT, "infra/compute-environment.yaml"), encoding="utf-8") as template:
    TEMPLATE = template.read()


class Emulator:
    def __init__(self, folder):
        command = [sys.executable, "-B", os.path.join(ROOT, "infra/local/emulator"), "--dir", folder, "--forget", "--stop-with-stdin"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE)
        ready = os.path.join(folder, "emulator.json")
        end = time.monotonic() + 60
        while not os.path.exists(ready):
            assert self.process.poll() is None and time.monotonic() < end, "the emulator does not start"
            time.sleep(0.05)
        with open(ready, encoding="utf-8") as file:
            self.endpoint = json.load(file)["awsEndpoint"]

    def client(self, service, key=HOME, region="us-east-1", secret="test", token=None):
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret,
            aws_session_token=token, config=Config(retries={"max_attempts": 1}),
        )

    def under(self, session, service, region=REGION):
        return self.client(service, session["AccessKeyId"], region, session["SecretAccessKey"], session["SessionToken"])

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


def make_role(iam, name, statement):
    anyone = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy([anyone]))
    iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=policy([statement]))


def policy(statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def tags(**changed):
    values = {"deployment": PARAMETERS["Deployment"], "scope": PARAMETERS["Scope"], "run": COPY[6:], "not-after": "2027-01-01T00:00:00Z"}
    return [{"Key": f"pipeline-secrets:{name}", "Value": value} for name, value in (values | changed).items()]


class ComputeEnvironment(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.emulator = Emulator(cls.folder.name)
        iam = cls.emulator.client("iam")
        allow = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "arn:aws:iam::*:role/pipeline-secrets-*"}
        for arn in FUNCTIONS.values():
            make_role(iam, arn.split("/")[1], allow)
        make_role(iam, "administrator", {"Effect": "Allow", "Action": "*", "Resource": "*"})
        cls.deploy("environment")
        cls.sessions = {duty: cls.assume(duty) for duty in DUTIES}

    @classmethod
    def tearDownClass(cls):
        cls.emulator.stop()
        cls.folder.cleanup()

    @classmethod
    def deploy(cls, stack, **changed):
        stacks = cls.emulator.client("cloudformation", OTHER, REGION)
        stacks.create_stack(
            StackName=stack, Capabilities=["CAPABILITY_NAMED_IAM"], TemplateBody=TEMPLATE,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in (PARAMETERS | changed).items()],
        )
        end = time.monotonic() + 30
        while (found := stacks.describe_stacks(StackName=stack)["Stacks"][0])["StackStatus"] == "CREATE_IN_PROGRESS":
            assert time.monotonic() < end, "the stack is not created"
            time.sleep(0.1)
        assert found["StackStatus"] == "CREATE_COMPLETE", found

    @classmethod
    def assume(cls, duty, external_id=PARAMETERS["ExternalId"], by=None, session_tags=None):
        arn = by or FUNCTIONS.get(duty, FUNCTIONS["check"])
        function = cls.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="function")["Credentials"]
        given = {"ExternalId": external_id} if external_id else {}
        answer = cls.emulator.under(function, "sts", "us-east-1").assume_role(
            RoleArn=ROLE, RoleSessionName=COPY[6:], Tags=session_tags or [{"Key": "duty", "Value": duty}], **given
        )
        return answer["Credentials"]

    def permitted(self, call):
        """Whether IAM permits the call, whatever its outcome."""
        try:
            call()
        except ClientError as error:
            return "AccessDenied" not in error.response["Error"]["Code"]
        return True

    def actions(self, duty, region=REGION, name=COPY, with_tags=None):
        secrets = self.emulator.under(self.sessions[duty], "secretsmanager", region)
        jobs = self.emulator.under(self.sessions[duty], "batch", region)
        created = tags() if with_tags is None else with_tags
        return {
            "create": lambda: secrets.create_secret(Name=name, SecretString="v", Tags=created),
            "tag": lambda: secrets.tag_resource(SecretId=name, Tags=created),
            "describe": lambda: secrets.describe_secret(SecretId=name),
            "list": lambda: secrets.list_secrets(),
            "jobs": lambda: jobs.describe_jobs(jobs=[NO_JOB]),
            "delete": lambda: secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True),
            "read": lambda: secrets.get_secret_value(SecretId=name),
            "change": lambda: secrets.put_secret_value(SecretId=name, SecretString="w"),
            "submit": lambda: jobs.submit_job(jobName="j", jobQueue="q", jobDefinition="d"),
        }

    def matrix(self):
        """What each duty permits on a copy of its own. The copy exists before and after."""
        owner = self.emulator.client("secretsmanager", OTHER, REGION)
        found = {}
        for duty in DUTIES:
            for action, call in self.actions(duty).items():
                if action != "create":
                    try:
                        owner.create_secret(Name=COPY, SecretString="v", Tags=tags())
                    except owner.exceptions.ResourceExistsException:
                        pass
                found[duty, action] = self.permitted(call)
        owner.delete_secret(SecretId=COPY, ForceDeleteWithoutRecovery=True)
        return {pair for pair, permitted in found.items() if permitted}

    ALLOWED = {
        ("deliver", "create"): "Deliver", ("deliver", "tag"): "Deliver",
        ("check", "describe"): "LookForCopies", ("remove", "describe"): "LookForCopies",
        ("remove", "list"): "FindCopies", ("remove", "delete"): "DeleteOurCopies",
        ("check", "jobs"): "HeadJobs", ("observe", "jobs"): "HeadJobs", ("remove", "jobs"): "HeadJobs",
    }

    def test_each_duty_permits_what_it_needs_and_nothing_else(self):
        self.assertEqual(self.matrix(), set(self.ALLOWED))

    def test_each_statement_is_needed(self):
        iam = self.emulator.client("iam", OTHER, REGION)
        name = {"RoleName": PARAMETERS["RoleName"], "PolicyName": "duties"}
        document = iam.get_role_policy(**name)["PolicyDocument"]
        statements = document["Statement"]
        self.assertEqual({one["Sid"] for one in statements}, set(self.ALLOWED.values()))
        for missing in statements:
            iam.put_role_policy(**name, PolicyDocument=policy([one for one in statements if one is not missing]))
            lost = {pair for pair, sid in self.ALLOWED.items() if sid == missing["Sid"]}
            self.assertEqual(self.matrix(), set(self.ALLOWED) - lost, missing["Sid"])
        iam.put_role_policy(**name, PolicyDocument=json.dumps(document))

    def test_a_key_of_the_copies_serves_deliveries_through_secrets_manager_alone(self):
        # The emulator encrypts without KMS, so the statement itself is compared.
        key = f"arn:aws:kms:{REGION}:{OTHER}:key/0d1c9a0e-0000-4000-8000-000000000000"
        self.deploy("with-a-key", RoleName="pipeline-secrets-with-a-key", CopyKeyArn=key)
        iam = self.emulator.client("iam", OTHER, REGION)
        document = iam.get_role_policy(RoleName="pipeline-secrets-with-a-key", PolicyName="duties")["PolicyDocument"]
        statements = [one for one in document["Statement"] if "kms" in json.dumps(one)]
        self.assertEqual(statements, [{
            "Sid": "KeyOfTheCopies", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key,
            "Condition": {"StringEquals": {"aws:PrincipalTag/duty": "deliver", "kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}},
        }])

    def test_copies_of_others_and_other_names_and_regions_are_out_of_reach(self):
        owner = self.emulator.client("secretsmanager", OTHER, REGION)
        foreign = {"scope": tags(scope="workspace/43"), "deployment": tags(deployment="another")}
        for what, of_others in foreign.items():
            name = f"tower-{PARAMETERS['RunPrefix']}{what}"
            owner.create_secret(Name=name, SecretString="v", Tags=of_others)
            for duty, action in (("deliver", "tag"), ("remove", "describe"), ("remove", "delete")):
                self.assertFalse(self.permitted(self.actions(duty, name=name)[action]), f"{action} a copy of another {what}")
            created = self.actions("deliver", name=f"{name}2", with_tags=of_others)["create"]
            self.assertFalse(self.permitted(created), f"create a copy of another {what}")
        for what, call in {
            "no tags": self.actions("deliver", with_tags=[])["create"],
            "more tags": self.actions("deliver", with_tags=[*tags(), {"Key": "a", "Value": "b"}])["create"],
            "another name": self.actions("deliver", name="tower-zz99x")["create"],
            "another region": self.actions("deliver", region="us-east-1")["create"],
            "a list in another region": self.actions("remove", region="us-east-1")["list"],
            "jobs in another region": self.actions("observe", region="us-east-1")["jobs"],
        }.items():
            self.assertFalse(self.permitted(call), what)

    def test_the_role_trusts_each_function_with_its_external_id_and_its_own_duty(self):
        role = self.emulator.client("iam", OTHER, REGION).get_role(RoleName=PARAMETERS["RoleName"])["Role"]
        self.assertEqual(role["AssumeRolePolicyDocument"], SETUP["trustPolicy"], "the template is what setupSnippet says")
        for own, function in FUNCTIONS.items():
            for duty in DUTIES:
                permitted = self.permitted(lambda: self.assume(duty, by=function))
                self.assertEqual(permitted, duty == own, f"{function} with the duty {duty}")
        duty = {"Key": "duty", "Value": "check"}
        for what, call in {
            "another external id": lambda: self.assume("check", external_id="z" * 32),
            "no external id": lambda: self.assume("check", external_id=None),
            "an unknown duty": lambda: self.assume("read"),
            "two tags": lambda: self.assume("check", session_tags=[duty, {"Key": "a", "Value": "b"}]),
            "an administrator of the service's account": lambda: self.assume("deliver", by=f"arn:aws:iam::{HOME}:role/administrator"),
        }.items():
            self.assertFalse(self.permitted(call), what)

    def test_in_its_own_account_a_trust_policy_that_names_the_caller_is_enough(self):
        iam, sts = self.emulator.client("iam"), lambda session: self.emulator.under(session, "sts", "us-east-1")
        caller = f"arn:aws:iam::{HOME}:role/caller"
        make_role(iam, "caller", {"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"})
        tag = [{"Key": "duty", "Value": "check"}]
        session = self.emulator.client("sts").assume_role(RoleArn=caller, RoleSessionName="function")["Credentials"]
        both = ["sts:AssumeRole", "sts:TagSession"]
        for name, principal, actions, given, permitted in [
            ("names-it", caller, both, tag, True),
            ("names-it-without-tags", caller, both[:1], [], True),
            ("names-it-without-the-right-to-tag", caller, both[:1], tag, False),
            ("names-the-account", HOME, both, tag, False),
            ("names-another", caller + "2", both, tag, False),
        ]:
            trust = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions}
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy([trust]))
            call = lambda: sts(session).assume_role(RoleArn=f"arn:aws:iam::{HOME}:role/{name}", RoleSessionName="test", Tags=given)
            self.assertEqual(self.permitted(call), permitted, name)
            if permitted:
                deny = {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"}
                iam.put_role_policy(RoleName="caller", PolicyName="deny", PolicyDocument=policy([deny]))
                self.assertFalse(self.permitted(call), f"{name}, with a denial")
                iam.delete_role_policy(RoleName="caller", PolicyName="deny")

        # Across accounts, both policies must permit it.
        trust = {"Effect": "Allow", "Principal": {"AWS": caller}, "Action": both}
        self.emulator.client("iam", OTHER).create_role(RoleName="names-it", AssumeRolePolicyDocument=policy([trust]))
        call = lambda: sts(session).assume_role(RoleArn=f"arn:aws:iam::{OTHER}:role/names-it", RoleSessionName="test", Tags=tag)
        self.assertFalse(self.permitted(call), "another account")

    def test_a_trust_policy_that_is_too_long_is_refused(self):
        iam = self.emulator.client("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": HOME}, "Action": "sts:AssumeRole"}
        refused = lambda: iam.create_role(RoleName="long", AssumeRolePolicyDocument=policy([trust] * 30))
        with self.assertRaisesRegex(ClientError, "ACLSizePerRole"):
            refused()
        iam.create_role(RoleName="short", AssumeRolePolicyDocument=policy([trust] * 20))
        with self.assertRaisesRegex(ClientError, "ACLSizePerRole"):
            iam.update_assume_role_policy(RoleName="short", PolicyDocument=policy([trust] * 30))


class Script(unittest.TestCase):
    """infra/compute-environment beside a service that answers for these credentials."""

    GOOD = "a" * 22
    # Answers of a service that is not one: none of them is deployed.
    BAD = {
        "b" * 22: {"--template-file": "/etc/passwd"},
        "c" * 22: {"CopyKeyArn": f"arn:aws:kms:{REGION}:{OTHER}:key/one"},
        "d" * 22: {"RunPrefix": "ab 12"},
        "e" * 22: {"RunPrefix": 1234},
        "f" * 22: {"RunPrefix": None},
        "g" * 22: {"role": f"arn:aws:iam::{OTHER}:role/lab"},
        "h" * 22: {"role": f"arn:aws:iam::{OTHER}:role/pipeline-secrets-a/../../lab"},
        "i" * 22: {"role": f"arn:aws:iam::{OTHER}:role/pipeline-secrets-"},
    }

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.emulator = Emulator(cls.folder.name)
        answers = {cls.GOOD: (ROLE, PARAMETERS)}
        for credentials, changed in cls.BAD.items():
            parameters = {name: value for name, value in (PARAMETERS | changed).items() if name != "role" and value is not None}
            answers[credentials] = (changed.get("role", ROLE), parameters)

        class Service(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                known = self.headers["authorization"] == "Bearer token" and self.path.endswith("?workspaceId=42")
                found = answers.get(self.path.split("?")[0].rpartition("/")[2]) if known else None
                role, parameters = found or ("", {})
                answer = {"credentials": {"keys": {"assumeRoleArn": role}}, "setup": {"parameters": parameters}}
                body = json.dumps(answer if found else {"message": "Not found."}).encode()
                self.send_response(200 if found else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        cls.server = http.server.HTTPServer(("127.0.0.1", 0), Service)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        cls.emulator.stop()
        cls.folder.cleanup()

    def run_script(self, *arguments, account=OTHER, **variables):
        programs = os.path.dirname(sys.executable)
        environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "HOME": self.folder.name,
            "AWS_ENDPOINT_URL": self.emulator.endpoint, "AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION, "TOWER_API_ENDPOINT": f"http://127.0.0.1:{self.server.server_port}",
            "TOWER_ACCESS_TOKEN": "token", "TOWER_WORKSPACE_ID": "42", **variables,
        }
        script = ["sh", os.path.join(ROOT, "infra/compute-environment"), *arguments]
        return subprocess.run(script, env=environment, capture_output=True, text=True, timeout=120)

    def test_it_deploys_the_role_and_a_repetition_changes_nothing(self):
        for _ in range(2):
            run = self.run_script("--credentials", self.GOOD)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(ROLE, run.stdout)
        rule = self.emulator.client("events", OTHER, REGION).list_rules()["Rules"]
        self.assertEqual(len(rule), 1, rule)

    def test_a_stack_of_another_role_deployment_or_workspace_is_not_changed(self):
        stacks = self.emulator.client("cloudformation", OTHER, "eu-north-1")
        queue = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})
        others = {"a stack without parameters": (queue, None)}
        for name, value in {"Scope": "workspace/43", "Deployment": "another", "RoleName": "pipeline-secrets-b", "ExternalId": "z" * 32}.items():
            others[name] = (TEMPLATE, PARAMETERS | {name: value})
        for number, (what, (template, parameters)) in enumerate(others.items()):
            stack = f"stack-{number}"
            given = [{"ParameterKey": name, "ParameterValue": value} for name, value in (parameters or {}).items()]
            stacks.create_stack(StackName=stack, TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"], Parameters=given)
            stacks.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
            run = self.run_script("--credentials", self.GOOD, "--stack", stack, AWS_DEFAULT_REGION="eu-north-1")
            message = "external ID of other credentials" if what == "ExternalId" else f"the stack {stack} exists"
            self.assertIn(message, run.stderr, what)
            if what == "ExternalId":
                stack_of_role = self.run_script("--credentials", self.GOOD, "--stack", stack, "--replace", AWS_DEFAULT_REGION="eu-north-1")
                self.assertEqual(stack_of_role.returncode, 0, stack_of_role.stderr)
                continue
            self.assertEqual(stacks.get_template(StackName=stack)["TemplateBody"], json.loads(template) if template == queue else template, what)
            stacks.delete_stack(StackName=stack)

    def test_it_says_what_is_wrong_and_deploys_nothing(self):
        stacks = lambda: len(self.emulator.client("cloudformation", OTHER, "us-east-1").describe_stacks()["Stacks"])
        before = stacks()
        elsewhere = {"AWS_DEFAULT_REGION": "us-east-1"}
        for arguments, more, part in [
            (["--credentials", "z" * 22], {}, "404: Not found."),
            (["--credentials", self.GOOD], {"TOWER_ACCESS_TOKEN": "another"}, "404"),
            *((["--credentials", bad], {}, "did not answer with the parameters") for bad in self.BAD),
            (["--credentials", self.GOOD], {"account": HOME}, f"credentials of account {HOME}"),
            (["--credentials", self.GOOD], {"TOWER_WORKSPACE_ID": ""}, "TOWER_WORKSPACE_ID is not set"),
            (["--credentials", self.GOOD], {"TOWER_ACCESS_TOKEN": 'x"y'}, "not a token"),
            (["--credentials", self.GOOD], {"TOWER_API_ENDPOINT": "http://127.0.0.1:1"}, "cannot be reached"),
            (["--credentials", self.GOOD, "ExternalId=x"], {}, "ExternalId is set by this script"),
            (["--credentials", self.GOOD, f"HeadQueueArn=arn:aws:batch:{REGION}:{OTHER}:job-queue/head"], {}, "is not in account"),
            (["--credentials", self.GOOD, f"HeadQueueArn=arn:aws:batch:us-east-1:{HOME}:job-queue/head"], {}, "is not in account"),
            (["--credentials", "two words"], {}, "usage:"),
            ([], {}, "usage:"),
        ]:
            run = self.run_script(*arguments, **(elsewhere | more))
            self.assertNotEqual(run.returncode, 0, part)
            self.assertIn(part, run.stderr)
            self.assertNotIn("token", run.stderr.replace("not a token", "").replace("TOWER_ACCESS_TOKEN", ""))
        self.assertEqual(stacks(), before)


unittest.main(argv=sys.argv[:1])
