"""Tests the rules of docs/emulator.md: a call over a limit is refused, one within it is accepted.

refusals.rs runs this with the address of an empty emulator.
"""

import base64
import contextlib
import io
import json
import sys
import time
import unittest
import urllib.request
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv.pop(1)
ACCOUNT, REGION = "123456789012", "us-east-1"
# With validation, the SDK would refuse some calls before it sends them.
UNCHECKED = Config(parameter_validation=False, retries={"max_attempts": 1})


def client(service, key="test", secret="test", token=None):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=UNCHECKED,
    )


def admin(method, path, body):
    request = urllib.request.Request(f"{ENDPOINT}/_local/{path}", json.dumps(body).encode(), method=method)
    return urllib.request.urlopen(request)


# A function that answers with as many bytes as its event says, or allows a request from an API.
ANSWERS = """#!%s
import os, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
while True:
    with urllib.request.urlopen(f"{api}/next") as event:
        request, content = event.headers["Lambda-Runtime-Aws-Request-Id"], event.read()
    text = content.isdigit() and b'"' + b"x" * (int(content) - 2) + b'"'
    urllib.request.urlopen(f"{api}/{request}/response", text or b'{"isAuthorized":true}').read()
"""


def trust(service):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Case(unittest.TestCase):
    def refused(self, code, call, *arguments, **members):
        with self.assertRaises(ClientError) as caught:
            call(*arguments, **members)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)


def as_role(service, name, statement):
    """A client that may do only what this statement allows."""
    client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
    client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy({"Effect": "Allow", **statement}))
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    session = client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    return client(service, session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])


OTHER, OTHER_REGION = "210987654321", "eu-west-1"


def elsewhere(service, region=OTHER_REGION):
    """A client of another account: the emulator takes a key of 12 digits for an account's root."""
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=region,
        aws_access_key_id=OTHER,
        aws_secret_access_key="test",
        config=UNCHECKED,
    )


class Environments(Case):
    def forwarded(self, bus, name, statement):
        """Sends an event from the other account through a rule to a bus here, and returns what arrives."""
        events, queues = client("events"), client("sqs")
        arn = events.create_event_bus(Name=bus)["EventBusArn"]
        queue = queues.create_queue(QueueName=name)["QueueUrl"]
        queue_arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue_arn}
        queues.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy(allowed)})
        events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"account": [OTHER]}))
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "q", "Arn": queue_arn}])
        if statement:
            events.put_permission(EventBusName=bus, Policy=policy({"Sid": "s", "Action": "events:PutEvents", "Resource": arn, **statement}))
        role = elsewhere("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust("events.amazonaws.com"))["Role"]["Arn"]
        elsewhere("events").put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
        elsewhere("events").put_targets(Rule=name, Targets=[{"Id": "b", "Arn": arn, "RoleArn": role}])
        elsewhere("events").put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": "{}"}])
        messages = queues.receive_message(QueueUrl=queue).get("Messages", [])
        return [json.loads(one["Body"]) for one in messages]

    def test_an_event_arrives_elsewhere_with_its_origin_if_the_policy_of_the_bus_allows_its_account(self):
        account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}}
        [event] = self.forwarded("open", "forwarded", account)
        self.assertEqual((event["account"], event["region"]), (OTHER, OTHER_REGION))
        self.assertEqual(self.forwarded("closed", "no-policy", None), [])
        third = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::333333333333:root"}}
        self.assertEqual(self.forwarded("third", "another-account", third), [])
        only = {**account, "Condition": {"ForAllValues:StringEquals": {"events:source": ["aws.batch"]}}}
        self.assertEqual(self.forwarded("only", "another-source", only), [])
        other = {**account, "Resource": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/open"}
        self.assertEqual(self.forwarded("another", "another-bus", other), [])
        self.assertEqual(self.forwarded("look", "another-action", {**account, "Action": "events:DescribeRule"}), [])

    def test_a_permission_is_for_a_bus_that_exists_and_a_policy_has_10_kb(self):
        events = client("events")
        arn = events.create_event_bus(Name="permitted")["EventBusArn"]
        statement = {"Sid": "s", "Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "events:PutEvents", "Resource": arn}
        put = lambda **changed: events.put_permission(EventBusName="permitted", Policy=policy({**statement, **changed}))
        put()
        put(Principal={"AWS": [OTHER] * 600})
        self.refused("PolicyLengthExceededException", put, Principal={"AWS": [OTHER] * 700})
        for part in ("Effect", "Principal", "Action", "Resource"):
            self.refused("ValidationException", put, **{part: ""})
        self.refused("ValidationException", events.put_permission, EventBusName="permitted", Policy="{}")
        absent = {"EventBusName": "absent", "StatementId": "s", "Action": "events:PutEvents", "Principal": OTHER}
        self.refused("ResourceNotFoundException", events.put_permission, **absent)

    def test_a_caller_needs_the_right_to_tag_sessions(self):
        arn = f"arn:aws:iam::{OTHER}:role/tagged"
        statement = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
        elsewhere("iam").create_role(RoleName="tagged", AssumeRolePolicyDocument=policy(statement))
        call = {"RoleArn": arn, "RoleSessionName": "session", "Tags": [{"Key": "duty", "Value": "deliver"}]}
        both = as_role("sts", "may-tag", {"Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": arn})
        both.assume_role(**call)
        one = as_role("sts", "may-not-tag", {"Action": "sts:AssumeRole", "Resource": arn})
        one.assume_role(RoleArn=arn, RoleSessionName="session")
        self.refused("AccessDenied", one.assume_role, **call)


class Conditions(Case):
    def test_encryption_context(self):
        key = client("kms").create_key()["KeyMetadata"]["Arn"]
        condition = {"StringEquals": {"kms:EncryptionContext:a": "b"}}
        statement = {"Action": "kms:GenerateDataKey", "Resource": key, "Condition": condition}
        make = as_role("kms", "by-context", statement).generate_data_key
        make(KeyId=key, KeySpec="AES_256", EncryptionContext={"a": "b", "c": "d"})
        for context in ({}, {"a": "c"}):
            self.refused("AccessDeniedException", make, KeyId=key, KeySpec="AES_256", EncryptionContext=context)

    def test_sources(self):
        condition = {"StringEquals": {"events:source": "ours"}}
        statement = {"Action": "events:PutEvents", "Resource": "*", "Condition": condition}
        put = as_role("events", "by-source", statement).put_events
        entry = lambda source: {"Source": source, "DetailType": "d", "Detail": "{}"}
        put(Entries=[entry("ours")] * 2)
        for sources in (["theirs"], ["ours", "theirs"]):
            self.refused("AccessDeniedException", put, Entries=[entry(source) for source in sources])

    def test_leading_keys(self):
        client("dynamodb").create_table(
            TableName="leading",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["OURS#*"]}}
        table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/leading"
        actions = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:BatchGetItem", "dynamodb:Query"]
        role = as_role("dynamodb", "by-key", {"Action": actions, "Resource": table, "Condition": condition})
        key = lambda text: {"pk": {"S": text}}
        query = {"TableName": "leading", "KeyConditionExpression": "pk = :pk"}

        def calls(*keys):
            yield lambda: role.get_item(TableName="leading", Key=key(keys[-1]))
            yield lambda: role.put_item(TableName="leading", Item=key(keys[-1]))
            yield lambda: role.query(**query, ExpressionAttributeValues={":pk": {"S": keys[-1]}})
            yield lambda: role.batch_get_item(RequestItems={"leading": {"Keys": [key(one) for one in keys]}})
            put = [{"Put": {"TableName": "leading", "Item": key(one)}} for one in keys]
            yield lambda: role.transact_write_items(TransactItems=put)

        for call in calls("OURS#1", "OURS#2"):
            call()
        for index, call in enumerate(calls("OURS#1", "THEIRS#1")):
            with self.subTest(index):
                self.refused("AccessDeniedException", call)


    def test_attributes(self):
        client("dynamodb").create_table(
            TableName="limited",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        condition = {
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "seen"]},
            "StringEqualsIfExists": {"dynamodb:ReturnValues": ["NONE"]},
        }
        table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/limited"
        role = as_role("dynamodb", "by-attribute", {"Action": "dynamodb:UpdateItem", "Resource": table, "Condition": condition})

        def update(expression, names=None, values=None, **more):
            values = values or {":v": {"S": "x"}}
            request = {"TableName": "limited", "Key": {"pk": {"S": "1"}}, "UpdateExpression": expression, **more}
            request |= {"ExpressionAttributeValues": values} if ":" in expression else {}
            return role.update_item(**request, **({"ExpressionAttributeNames": names} if names else {}))

        update("SET seen = :v")
        update("SET #0 = :v", {"#0": "seen"})
        update("SET seen = :v", ConditionExpression="attribute_exists(pk)")
        for index, call in enumerate((
            lambda: update("SET other = :v"),
            lambda: update("SET #0 = :v", {"#0": "other"}),
            lambda: update("SET #size = :v", {"#size": "size"}),
            lambda: update("SET seen = other"),
            lambda: update("SET seen = if_not_exists(other, :v)"),
            lambda: update("SET other.seen = :v"),
            lambda: update("REMOVE other"),
            lambda: update("SET seen = :v", ConditionExpression="attribute_not_exists(other)"),
            lambda: update("SET seen = :v", ReturnValues="ALL_OLD"),
        )):
            with self.subTest(index):
                self.refused("AccessDeniedException", call)
        legacy = {"seen": {"Action": "PUT", "Value": {"S": "x"}}}
        self.refused("ValidationException", client("dynamodb").update_item, TableName="limited", Key={"pk": {"S": "1"}}, AttributeUpdates=legacy)


class SecretsManager(Case):
    secrets = client("secretsmanager")

    def create(self, name, **members):
        return self.secrets.create_secret(Name=name, **({"SecretString": "x"} | members))

    def test_names(self):
        self.create("/aB3_+=.@-")
        self.create("n" * 512)
        self.refused("InvalidParameterException", self.create, name="with space")
        self.refused("InvalidParameterException", self.create, name="hash#")
        self.refused("ValidationException", self.create, name="n" * 513)

    def test_characters_of_tags(self):
        tag = lambda key, value: {"Tags": [{"Key": key, "Value": value}]}
        self.create("tags-good", **tag("a:b/c @+-=._é1", "workspace/42"))
        for index, (key, value) in enumerate([("a", "WS#42"), ("a#", "x"), ("a", "x*"), ("a&b", "x")]):
            self.refused("InvalidParameterException", self.create, name=f"tags-{index}", **tag(key, value))
        for index, (key, value) in enumerate([("aws:a", "x"), ("AWS:a", "x"), ("a", "aws:x")]):
            self.refused("InvalidParameterException", self.create, name=f"aws-{index}", **tag(key, value))
        self.refused(
            "InvalidParameterException", self.secrets.tag_resource, SecretId="tags-good", **tag("a", "WS#42")
        )

    def test_sizes_of_tags(self):
        tag = lambda key, value: {"Tags": [{"Key": key, "Value": value}]}
        self.create("tag-sizes", **tag("k" * 128, "v" * 256))
        self.refused("ValidationException", self.create, name="tag-key", **tag("k" * 129, "v"))
        self.refused("ValidationException", self.create, name="tag-value", **tag("k", "v" * 257))

    def test_number_of_tags(self):
        tags = [{"Key": f"k{index}", "Value": "v"} for index in range(51)]
        self.refused("InvalidParameterException", self.create, name="many", Tags=tags)
        self.create("fifty", Tags=tags[:50])
        self.secrets.tag_resource(SecretId="fifty", Tags=tags[:1])
        self.refused("InvalidParameterException", self.secrets.tag_resource, SecretId="fifty", Tags=tags[50:])

    def test_sizes_of_values(self):
        self.create("longest", SecretString="x" * 65_536)
        self.refused("ValidationException", self.create, name="longer", SecretString="x" * 65_537)
        self.refused("InvalidParameterException", self.create, name="bytes", SecretString="é" * 40_000)
        self.refused("ValidationException", self.create, name="binary", SecretString=None, SecretBinary=b"x" * 65_537)
        put = self.secrets.put_secret_value
        self.refused("InvalidParameterException", put, SecretId="longest", SecretString="é" * 40_000)

    def test_either_text_or_binary(self):
        self.refused("InvalidParameterException", self.create, name="both", SecretBinary=b"x")

    def test_lengths_of_other_members(self):
        self.create("token", ClientRequestToken="t" * 32, Description="d" * 2_048)
        self.refused("ValidationException", self.create, name="token-31", ClientRequestToken="t" * 31)
        self.refused("ValidationException", self.create, name="token-65", ClientRequestToken="t" * 65)
        self.refused("ValidationException", self.create, name="described", Description="d" * 2_049)

    def test_a_repeated_creation_is_idempotent(self):
        once = self.create("twice", ClientRequestToken="t" * 32)
        self.assertEqual(self.create("twice", ClientRequestToken="t" * 32)["ARN"], once["ARN"])
        self.assertEqual(once["VersionId"], "t" * 32)
        self.refused(
            "ResourceExistsException", self.create, name="twice", SecretString="other", ClientRequestToken="t" * 32
        )

    def test_a_key_that_cannot_be_used(self):
        keys = client("kms")
        key = keys.create_key()["KeyMetadata"]["KeyId"]
        self.create("under-a-key", KmsKeyId=key)
        self.refused("EncryptionFailure", self.create, name="no-key", KmsKeyId="alias/none")
        keys.disable_key(KeyId=key)
        self.refused("EncryptionFailure", self.create, name="disabled-key", KmsKeyId=key)

    def test_deletion(self):
        delete = self.secrets.delete_secret
        self.create("deleted")
        force = {"ForceDeleteWithoutRecovery": True}
        self.refused("InvalidParameterException", delete, SecretId="none", RecoveryWindowInDays=7, **force)
        for days in (6, 31):
            self.refused("InvalidParameterException", delete, SecretId="deleted", RecoveryWindowInDays=days)
        delete(SecretId="deleted", RecoveryWindowInDays=7)
        self.assertIn("DeletedDate", self.secrets.describe_secret(SecretId="deleted"))
        self.refused("InvalidRequestException", self.create, name="deleted")
        self.refused("InvalidRequestException", self.secrets.get_secret_value, SecretId="deleted")
        delete(SecretId="deleted", **force)
        self.refused("ResourceNotFoundException", self.secrets.describe_secret, SecretId="deleted")

    def test_a_forced_delete_of_a_missing_secret_succeeds(self):
        delete = self.secrets.delete_secret
        self.assertEqual(delete(SecretId="never", ForceDeleteWithoutRecovery=True)["Name"], "never")
        self.refused("ResourceNotFoundException", delete, SecretId="never")

    def test_a_condition_on_a_tag_denies_missing_secrets(self):
        condition = {"StringEquals": {"secretsmanager:ResourceTag/a:b": "c"}}
        statement = {"Action": "secretsmanager:DeleteSecret", "Resource": "*", "Condition": condition}
        delete = as_role("secretsmanager", "by-tag", statement).delete_secret
        self.create("with-tag", Tags=[{"Key": "a:b", "Value": "c"}])
        delete(SecretId="with-tag", ForceDeleteWithoutRecovery=True)
        for name in ("with-tag", "never-there"):
            self.refused("AccessDeniedException", delete, SecretId=name, ForceDeleteWithoutRecovery=True)

    def listed(self, *filters, **members):
        filters = [{"Key": key, "Values": [text]} for key, text in filters]
        return [one["Name"] for one in self.secrets.list_secrets(Filters=filters, **members)["SecretList"]]

    def test_filters(self):
        self.create("Filter-one", Tags=[{"Key": "Team:name", "Value": "blue"}], Description="The First")
        self.assertEqual(self.listed(("name", "Filter-")), ["Filter-one"])
        self.assertEqual(self.listed(("tag-key", "Team:"), ("tag-value", "bl")), ["Filter-one"])
        self.assertEqual(self.listed(("description", "the f")), ["Filter-one"])
        self.assertEqual(self.listed(("name", "Filter-"), ("tag-value", "!blue")), [])
        for key, text in [("name", "filter-"), ("name", "one"), ("tag-key", "team:"), ("tag-value", "lue")]:
            self.assertEqual(self.listed((key, text)), [], (key, text))
        for wrong in ([("name", "a#")], [("no-such-key", "a")], [("name", "a")] * 11):
            self.refused("ValidationException", lambda wrong=wrong: self.listed(*wrong))
        for size in (0, 101):
            self.refused("ValidationException", lambda size=size: self.listed(MaxResults=size))

    def test_a_list_as_of_an_earlier_time(self):
        self.create("lag-old")
        earlier = time.time()
        self.create("lag-new")
        self.secrets.delete_secret(SecretId="lag-old", ForceDeleteWithoutRecovery=True)
        self.assertEqual(self.listed(("name", "lag-")), ["lag-new"])
        self.addCleanup(admin, "PUT", "secretsmanager/list", {"asOf": None})
        admin("PUT", "secretsmanager/list", {"asOf": earlier})
        self.assertEqual(self.listed(("name", "lag-")), ["lag-old"])
        self.refused("ResourceNotFoundException", self.secrets.describe_secret, SecretId="lag-old")
        self.secrets.describe_secret(SecretId="lag-new")


class Kms(Case):
    keys = client("kms")

    def setUp(self):
        self.key = self.keys.create_key()["KeyMetadata"]["KeyId"]

    def test_sizes(self):
        self.keys.encrypt(KeyId=self.key, Plaintext=b"x" * 4_096)
        self.refused("ValidationException", self.keys.encrypt, KeyId=self.key, Plaintext=b"x" * 4_097)
        self.keys.generate_data_key(KeyId=self.key, NumberOfBytes=1_024)
        self.refused("ValidationException", self.keys.generate_data_key, KeyId=self.key, NumberOfBytes=1_025)

    def test_a_data_key_has_one_size(self):
        make = self.keys.generate_data_key
        self.refused("ValidationException", make, KeyId=self.key)
        self.refused("ValidationException", make, KeyId=self.key, KeySpec="AES_256", NumberOfBytes=32)

    def test_a_ciphertext_is_not_decrypted_with_another_key(self):
        generated = self.keys.generate_data_key(KeyId=self.key, KeySpec="AES_256", EncryptionContext={"a": "b"})
        opened = {"CiphertextBlob": generated["CiphertextBlob"], "EncryptionContext": {"a": "b"}}
        self.assertEqual(self.keys.decrypt(KeyId=self.key, **opened)["Plaintext"], generated["Plaintext"])
        other = self.keys.create_key()["KeyMetadata"]["KeyId"]
        self.refused("IncorrectKeyException", self.keys.decrypt, KeyId=other, **opened)

    def test_a_policy_has_statements_with_principals(self):
        put = lambda text: self.keys.put_key_policy(KeyId=self.key, PolicyName="default", Policy=text)
        everyone = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
        put(policy(everyone))
        without_principal = {name: value for name, value in everyone.items() if name != "Principal"}
        for text in ("{}", policy(without_principal)):
            self.refused("MalformedPolicyDocumentException", lambda text=text: put(text))


class Events(Case):
    events, queues = client("events"), client("sqs")

    def test_a_request_is_under_one_megabyte(self):
        entry = lambda size: {"Source": "s", "DetailType": "d", "Detail": json.dumps({"a": "x" * size})}
        self.events.put_events(Entries=[entry(400_000), entry(500_000)])
        self.refused("ValidationException", self.events.put_events, Entries=[entry(500_000), entry(500_000)])

    def test_an_entry_fails_alone(self):
        good = {"Source": "s", "DetailType": "d", "Detail": "{}"}
        wrong = [{**good, "Detail": "text"}, {**good, "Detail": "[]"}, {**good, "Source": ""}, {"Source": "s"}]
        answer = self.events.put_events(Entries=[wrong[0], good, *wrong[1:]])
        self.assertEqual(answer["FailedEntryCount"], 4)
        codes = [one.get("ErrorCode") for one in answer["Entries"]]
        self.assertEqual(codes, ["MalformedDetail", None, "MalformedDetail", "InvalidArgument", "InvalidArgument"])

    def test_rules(self):
        put = lambda **members: self.events.put_rule(Name="rules", **members)
        put(ScheduleExpression="rate(5 minutes)")
        put(ScheduleExpression="rate(1 hour)")
        self.refused("ValidationException", put)
        for rate in ("rate(5 minute)", "rate(1 minutes)", "rate(0 minutes)"):
            self.refused("ValidationException", put, ScheduleExpression=rate)
        self.events.create_event_bus(Name="other")
        self.refused("ValidationException", put, ScheduleExpression="rate(1 hour)", EventBusName="other")
        self.refused("ValidationException", self.events.put_rule, Name="a b", EventPattern='{"source":["x"]}')

    def test_targets(self):
        self.events.put_rule(Name="targets", EventPattern='{"source":["x"]}')
        put = lambda *targets: self.events.put_targets(Rule="targets", Targets=list(targets))
        target = lambda index, **more: {"Id": str(index), "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", **more}
        put(*(target(index) for index in range(5)))
        self.refused("LimitExceededException", put, target(5))
        for retry in ({"MaximumEventAgeInSeconds": 59}, {"MaximumRetryAttempts": 186}):
            self.refused("ValidationException", put, target(1, RetryPolicy=retry))

    def queue(self, name, rule=None, **attributes):
        """A queue that accepts events of this rule, by default of the rule with the same name."""
        send = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
            "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule or name}"}},
        }
        return self.queues.create_queue(QueueName=name, Attributes={"Policy": policy(send), **attributes})["QueueUrl"]

    def test_a_target_allows_the_rule_or_the_event_is_a_dead_letter(self):
        def arrives(rule, target, letters):
            """The numbers of messages in the target and in the dead-letter queue."""
            self.events.put_rule(Name=rule, EventPattern=json.dumps({"source": [rule]}))
            arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
            self.events.put_targets(
                Rule=rule,
                Targets=[{"Id": "1", "Arn": f"{arn}{target}", "DeadLetterConfig": {"Arn": f"{arn}{letters}"}}],
            )
            self.events.put_events(Entries=[{"Source": rule, "DetailType": "d", "Detail": "{}"}])
            urls = [self.queues.get_queue_url(QueueName=name)["QueueUrl"] for name in (target, letters)]
            return [len(self.queues.receive_message(QueueUrl=url).get("Messages", [])) for url in urls]

        self.queue("let-in")
        self.queue("letters", "shut-out")
        self.queue("others")
        self.assertEqual(arrives("let-in", "let-in", "letters"), [1, 0])
        self.assertEqual(arrives("shut-out", "others", "letters"), [0, 1])
        self.assertEqual(arrives("no-letters", "others", "letters"), [0, 0])

    def test_a_function_allows_the_rule(self):
        Lambda.setUpClass()
        function = Lambda().create("not-let-in")["FunctionArn"]
        letters = self.queue("of-the-function")
        self.events.put_rule(Name="of-the-function", EventPattern='{"source":["of-the-function"]}')
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:of-the-function"
        target = {"Id": "1", "Arn": function, "DeadLetterConfig": {"Arn": arn}}
        self.events.put_targets(Rule="of-the-function", Targets=[target])
        self.events.put_events(Entries=[{"Source": "of-the-function", "DetailType": "d", "Detail": "{}"}])
        self.assertTrue(self.queues.receive_message(QueueUrl=letters).get("Messages"))

    def arrives(self, name, condition):
        """Whether an event arrives in a queue whose key allows EventBridge with this condition."""
        root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
        use = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
        }
        if condition:
            use["Condition"] = condition
        statements = [root] if condition is None else [root, use]
        key = client("kms").create_key(Policy=policy(*statements))["KeyMetadata"]["Arn"]
        url = self.queue(name, KmsMasterKeyId=key)
        self.events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
        target = {"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}
        self.events.put_targets(Rule=name, Targets=[target])
        self.events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": "{}"}])
        return bool(self.queues.receive_message(QueueUrl=url).get("Messages"))

    def test_an_encrypted_queue_receives_events_if_its_key_allows_it_without_conditions(self):
        self.assertTrue(self.arrives("as-the-guide", {}))
        self.assertFalse(self.arrives("not-named", None))
        self.assertFalse(self.arrives("by-account", {"StringEquals": {"aws:SourceAccount": ACCOUNT}}))
        rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/*"
        self.assertFalse(self.arrives("by-rule", {"ArnLike": {"aws:SourceArn": rule}}))


class Lambda(Case):
    functions, roles = client("lambda"), client("iam")

    @classmethod
    def setUpClass(cls):
        with contextlib.suppress(ClientError):  # another class created it
            cls.roles.create_role(RoleName="function", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))

    def create(self, name, program="#!/bin/sh\nexit 1\n", **members):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, program)
        return self.functions.create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=f"arn:aws:iam::{ACCOUNT}:role/function",
            Code={"ZipFile": packed.getvalue()},
            **members,
        )

    def test_configuration(self):
        code = "InvalidParameterValueException"
        self.create("largest", Timeout=900, MemorySize=10_240)
        for wrong in ({"Timeout": 901}, {"Timeout": 0}, {"MemorySize": 127}, {"MemorySize": 32_769}):
            self.refused(code, self.create, name="wrong", **wrong)
        self.refused(code, self.create, name="a b")
        self.refused(code, self.create, name="n" * 65)

    def test_environment(self):
        code = "InvalidParameterValueException"
        variables = lambda **pairs: {"Environment": {"Variables": pairs}}
        self.create("environment", **variables(A1="x" * 4_000))
        for wrong in ({"A1": "x" * 4_096}, {"AWS_REGION": "x"}, {"_HANDLER": "x"}, {"A": "x"}, {"1A": "x"}):
            self.refused(code, self.create, name="wrong", **variables(**wrong))

    def test_payloads(self):
        self.create("payloads")

        def invoke(size, **more):
            payload = b'"' + b"x" * (size - 2) + b'"'
            self.functions.invoke(FunctionName="payloads", Payload=payload, **more)

        self.refused("RequestTooLargeException", invoke, size=6 * 1024 * 1024 + 1)
        invoke(1024 * 1024, InvocationType="Event")
        self.refused("RequestTooLargeException", invoke, size=1024 * 1024 + 1, InvocationType="Event")

    def test_answers(self):
        self.create("answers", ANSWERS % sys.executable)

        def invoke(size):
            return self.functions.invoke(FunctionName="answers", Payload=str(size)).get("FunctionError")

        self.assertIsNone(invoke(6 * 1024 * 1024 - 100))
        self.assertEqual(invoke(6 * 1024 * 1024 + 100), "Unhandled")

    def test_a_destination_needs_the_roles_permission(self):
        self.create("destination")
        queue = client("sqs").create_queue(QueueName="destination")["QueueUrl"].rsplit("/", 1)[-1]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
        config = {"FunctionName": "destination", "DestinationConfig": {"OnFailure": {"Destination": arn}}}
        put = self.functions.put_function_event_invoke_config
        self.refused("InvalidParameterValueException", put, **config)
        statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}
        self.roles.put_role_policy(RoleName="function", PolicyName="send", PolicyDocument=policy(statement))
        put(**config)
        self.refused("InvalidParameterValueException", put, FunctionName="destination", MaximumRetryAttempts=3)

    def test_a_function_that_a_rule_invokes_is_retried_and_sends_to_its_destination(self):
        self.create("by-rule")
        queue = client("sqs").create_queue(QueueName="after-retries")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:after-retries"
        statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}
        self.roles.put_role_policy(RoleName="function", PolicyName="after", PolicyDocument=policy(statement))
        config = {"MaximumRetryAttempts": 0, "DestinationConfig": {"OnFailure": {"Destination": arn}}}
        self.functions.put_function_event_invoke_config(FunctionName="by-rule", **config)
        events = client("events")
        events.put_rule(Name="invokes", EventPattern='{"source":["invokes"]}')
        function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:by-rule"
        events.put_targets(Rule="invokes", Targets=[{"Id": "1", "Arn": function}])
        allow = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
        rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/invokes"
        self.functions.add_permission(FunctionName="by-rule", StatementId="s", SourceArn=rule, **allow)
        events.put_events(Entries=[{"Source": "invokes", "DetailType": "d", "Detail": "{}"}])
        # The function starts in a separate process, which takes a while.
        answer = client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=20)
        self.assertEqual(json.loads(answer["Messages"][0]["Body"])["requestPayload"]["source"], "invokes")

    def test_eventbridge_is_not_allowed_by_account(self):
        self.create("permission")
        allow = {"FunctionName": "permission", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
        self.functions.add_permission(StatementId="s1", SourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:rule/r", **allow)
        self.refused(
            "InvalidParameterValueException",
            self.functions.add_permission,
            StatementId="s2",
            SourceAccount=ACCOUNT,
            **allow,
        )


class Iam(Case):
    roles = client("iam")

    def setUp(self):
        name = self.id().rsplit(".", 1)[-1]
        self.roles.create_role(RoleName=name, AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
        self.put = lambda document, called="p": self.roles.put_role_policy(
            RoleName=name, PolicyName=called, PolicyDocument=document
        )

    def test_inline_policies_together(self):
        statement = lambda size: {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::" + "x" * size}
        self.put(policy(statement(4_900)))
        self.put(policy(statement(4_900)), "second")
        self.put(policy(statement(4_900)), "second")
        self.put(policy(statement(10)).replace(" ", " " * 5_000), "spaces")
        self.refused("LimitExceeded", self.put, document=policy(statement(300)), called="third")

    def test_grammar(self):
        good = {"Sid": "A1", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
        self.put(policy({**good, "Condition": {"ForAllValues:StringLikeIfExists": {"a": "b"}}}))
        for wrong in (
            [{**good, "Condition": {"StringEqual": {"a": "b"}}}],
            [{**good, "Sid": "a b"}],
            [{**good, "Principal": "*"}],
            [good, good],
        ):
            self.refused("MalformedPolicyDocument", self.put, document=policy(*wrong))

    def test_names(self):
        self.refused("ValidationError", self.roles.create_role, RoleName="r" * 65, AssumeRolePolicyDocument=trust("x"))
        assume = client("sts").assume_role
        arn = f"arn:aws:iam::{ACCOUNT}:role/test_names"
        assume(RoleArn=arn, RoleSessionName="a-session@1")
        self.refused("ValidationError", assume, RoleArn=arn, RoleSessionName="a session")


    def test_simulations_have_a_context_and_several_resources(self):
        condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["OURS#*"]}}
        ours, other = (f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" for name in ("ours", "other"))
        as_role("iam", "simulated", {"Action": "dynamodb:GetItem", "Resource": ours, "Condition": condition})
        role = f"arn:aws:iam::{ACCOUNT}:role/simulated"

        def decisions(*partitions):
            context = {"ContextKeyName": "dynamodb:LeadingKeys", "ContextKeyValues": list(partitions), "ContextKeyType": "stringList"}
            simulated = client("iam").simulate_principal_policy(
                PolicySourceArn=role, ActionNames=["dynamodb:GetItem"], ResourceArns=[ours, other], ContextEntries=[context]
            )
            return {one["EvalResourceName"]: one["EvalDecision"] for one in simulated["EvaluationResults"]}

        self.assertEqual(decisions("OURS#1"), {ours: "allowed", other: "implicitDeny"})
        self.assertEqual(decisions("OURS#1", "THEIRS#1"), {ours: "implicitDeny", other: "implicitDeny"})


class DynamoDb(Case):
    tables = client("dynamodb")

    @classmethod
    def setUpClass(cls):
        cls.tables.create_table(
            TableName="table",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )

    def test_in_takes_100_values(self):
        def scan(number):
            values = {f":v{index}": {"S": str(index)} for index in range(number)}
            expression = f"pk IN ({', '.join(values)})"
            self.tables.scan(TableName="table", FilterExpression=expression, ExpressionAttributeValues=values)

        scan(100)
        self.refused("ValidationException", scan, number=101)

    def test_time_to_live_cannot_be_enabled_twice(self):
        call = {"TableName": "table", "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True}}
        self.tables.update_time_to_live(**call)
        self.refused("ValidationException", self.tables.update_time_to_live, **call)


class Batch(Case):
    batch = client("batch")
    container = {
        "image": "i",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
    }

    def define(self, name, container=None, **members):
        members = {"type": "container", "containerProperties": {**self.container, **(container or {})}} | members
        return self.batch.register_job_definition(jobDefinitionName=name, **members)

    def submit(self, name="job", definition="d", **members):
        return self.batch.submit_job(jobName=name, jobQueue="q", jobDefinition=definition, **members)

    def test_jobs(self):
        self.define("d")
        self.batch.describe_jobs(jobs=["j"] * 100)
        self.refused("ClientException", self.batch.describe_jobs, jobs=["j"] * 101)
        self.submit("a-job_1")
        for name in ("a job", "-job", "j" * 129):
            self.refused("ClientException", self.submit, name)
        dependencies = [{"jobId": "j"}] * 21
        self.submit(dependsOn=dependencies[:20])
        self.refused("ClientException", self.submit, dependsOn=dependencies)
        for size in (1, 10_001):
            self.refused("ClientException", self.submit, arrayProperties={"size": size})
        self.limits(self.submit)
        for call in (self.batch.terminate_job, self.batch.cancel_job):
            call(jobId="none", reason="r" * 1_024)
            self.refused("ClientException", call, jobId="none", reason="r" * 1_025)

    def limits(self, call):
        for attempts in (0, 11):
            self.refused("ClientException", call, "limited", retryStrategy={"attempts": attempts})
        self.refused("ClientException", call, "limited", timeout={"attemptDurationSeconds": 59})
        call("limited", retryStrategy={"attempts": 10}, timeout={"attemptDurationSeconds": 60})

    def test_sizes(self):
        self.define("d")
        environment = lambda size: [{"name": "LONG", "value": "x" * size}]
        self.submit(containerOverrides={"environment": environment(30_000)})
        self.refused("ClientException", self.submit, containerOverrides={"environment": environment(30_720)})
        self.define("large", {"environment": environment(24_000)})
        self.refused("ClientException", self.define, "larger", {"environment": environment(24_576)})

    def test_environment(self):
        self.define("d")
        for name in ("AWS_BATCH", "AWS_BATCH_JOB_ID"):
            environment = {"environment": [{"name": name, "value": "x"}]}
            self.refused("ClientException", self.define, "reserved", environment)
            self.refused("ClientException", self.submit, containerOverrides=environment)
        self.submit(containerOverrides={"environment": [{"name": "aws_batch", "value": "x"}]})

    def test_definitions(self):
        self.define("-_a1" * 32)
        for name in ("a b", "a.b", "d" * 129):
            self.refused("ClientException", self.define, name)
        self.limits(self.define)
        for wrong in ({"image": ""}, {"resourceRequirements": self.container["resourceRequirements"][:1]}):
            self.refused("ClientException", self.define, "wrong", wrong)
        self.define("older", {"resourceRequirements": [], "vcpus": 1, "memory": 512})
        self.refused("ClientException", self.define, "none", containerProperties=None)
        self.refused("ClientException", self.define, "nodes", type="multinode")
        secrets = {"secrets": [{"name": "KEY", "valueFrom": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"}]}
        self.refused("ClientException", self.define, "no-role", secrets)
        self.refused("ClientException", self.define, "fargate", platformCapabilities=["FARGATE"])
        self.define("with-role", {**secrets, "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/execution"})

    def test_a_definition_with_a_role_needs_the_right_to_pass_it(self):
        role = f"arn:aws:iam::{ACCOUNT}:role/passed"
        register = {"Effect": "Allow", "Action": "batch:RegisterJobDefinition", "Resource": "*"}
        to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": role, "Condition": to_tasks}
        one, both = as_role("batch", "registers", register), as_role("batch", "passes", passing)
        client("iam").put_role_policy(RoleName="passes", PolicyName="q", PolicyDocument=policy(register))
        call = {"jobDefinitionName": "passed", "type": "container"}
        one.register_job_definition(**call, containerProperties=self.container)
        for member in ("jobRoleArn", "executionRoleArn"):
            members = {**call, "containerProperties": {**self.container, member: role}}
            self.refused("AccessDeniedException", one.register_job_definition, **members)
            both.register_job_definition(**members)
        other = {**self.container, "jobRoleArn": f"{role}-other"}
        self.refused("AccessDeniedException", both.register_job_definition, **call, containerProperties=other)

    def test_resources(self):
        arn = f"arn:aws:batch:{REGION}:{ACCOUNT}"
        self.define("ours")
        self.define("theirs")
        resources = [f"{arn}:job-queue/ours", f"{arn}:job-definition/ours"]
        role = as_role("batch", "submits", {"Action": "batch:SubmitJob", "Resource": resources})
        submit = lambda queue, definition: role.submit_job(jobName="j", jobQueue=queue, jobDefinition=definition)
        submit("ours", "ours")
        submit(f"{arn}:job-queue/ours", "ours")
        self.refused("AccessDeniedException", submit, "theirs", "ours")
        self.refused("AccessDeniedException", submit, "ours", "theirs")
        mine, other = self.submit(definition="ours"), self.submit(definition="ours")
        role = as_role("batch", "ends", {"Action": "batch:TerminateJob", "Resource": mine["jobArn"]})
        role.terminate_job(jobId=mine["jobId"], reason="r")
        self.refused("AccessDeniedException", role.terminate_job, jobId=other["jobId"], reason="r")

    def test_tags(self):
        self.define("d")
        mine, other = self.submit(tags={"a": "1"}), self.submit()
        tag = self.batch.tag_resource
        tag(resourceArn=mine["jobArn"], tags={"pipeline-secrets:run": "x"})
        listed = self.batch.list_tags_for_resource(resourceArn=mine["jobArn"])["tags"]
        self.assertEqual(listed, {"a": "1", "pipeline-secrets:run": "x"})
        self.assertEqual(self.batch.describe_jobs(jobs=[mine["jobId"]])["jobs"][0]["tags"], listed)
        self.batch.untag_resource(resourceArn=mine["jobArn"], tagKeys=["a", "b"])
        self.assertEqual(list(self.batch.list_tags_for_resource(resourceArn=mine["jobArn"])["tags"]), ["pipeline-secrets:run"])

        many = {f"k{index}": "v" for index in range(51)}
        for tags in ({"aws:a": "x"}, {}, many, {"k" * 129: "v"}, {"k": "v" * 257}):
            self.refused("ClientException", tag, resourceArn=mine["jobArn"], tags=tags)
        for arn in (f"{mine['jobArn']}:0", f"{mine['jobArn']}x", "arn:aws:batch"):
            self.refused("ClientException", tag, resourceArn=arn, tags={"k": "v"})
        actions = ["batch:TagResource", "batch:ListTagsForResource"]
        role = as_role("batch", "tags", {"Action": actions, "Resource": mine["jobArn"]})
        role.tag_resource(resourceArn=mine["jobArn"], tags={"k": "v"})
        self.assertIn("k", role.list_tags_for_resource(resourceArn=mine["jobArn"])["tags"])
        self.refused("AccessDeniedException", role.tag_resource, resourceArn=other["jobArn"], tags={"k": "v"})
        self.refused("AccessDeniedException", role.untag_resource, resourceArn=mine["jobArn"], tagKeys=["k"])


class Others(Case):
    def test_queues(self):
        queues = client("sqs")
        queues.create_queue(QueueName="q" * 80)
        for name in ("q 1", "q" * 81):
            self.refused("InvalidParameterValue", queues.create_queue, QueueName=name)


class Stacks(Case):
    """CloudFormation resources are checked like the calls that would create them."""

    stacks = client("cloudformation")

    def outcome(self, name, resources, parameters=(), **sections):
        body = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources, **sections})
        self.stacks.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"], Parameters=parameters)
        for _ in range(200):
            status = self.stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            if not status.endswith("IN_PROGRESS"):
                return status
            time.sleep(0.05)
        self.fail(f"{name} did not end")

    def check(self, name, kind, good, *wrong):
        self.assertEqual(self.outcome(name, {"One": {"Type": kind, "Properties": good}}), "CREATE_COMPLETE")
        for index, changed in enumerate(wrong):
            resources = {"One": {"Type": kind, "Properties": {**good, **changed}}}
            self.assertEqual(self.outcome(f"{name}-{index}", resources), "ROLLBACK_COMPLETE", changed)

    def test_logical_names(self):
        topic = {"Type": "AWS::SQS::Queue"}
        self.refused("ValidationError", self.outcome, name="names", resources={"Has_one": topic})

    def test_a_condition_can_join_a_list_to_find_out_whether_it_is_empty(self):
        join = {"Fn::Join": ["", {"Ref": "List"}]}
        sections = {
            "Parameters": {"List": {"Type": "CommaDelimitedList", "Default": ""}},
            "Conditions": {"HasList": {"Fn::Not": [{"Fn::Equals": [join, ""]}]}},
        }
        queue = {"Type": "AWS::SQS::Queue"}
        resources = {"Always": queue, "Sometimes": {**queue, "Condition": "HasList"}}
        for name, value in (("default", None), ("empty", ""), ("one", "1"), ("two", "1,2")):
            given = [] if value is None else [{"ParameterKey": "List", "ParameterValue": value}]
            self.assertEqual(self.outcome(f"list-{name}", resources, given, **sections), "CREATE_COMPLETE")
            listed = self.stacks.list_stack_resources(StackName=f"list-{name}")["StackResourceSummaries"]
            self.assertEqual(len(listed), 2 if value else 1, name)

    def test_alarms(self):
        stat = lambda index: {
            "Id": f"m{index}",
            "ReturnData": False,
            "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 300, "Stat": "Sum"},
        }
        total = {"Id": "total", "Expression": "SUM(METRICS())"}
        good = {
            "Metrics": [total, *map(stat, range(10))],
            "EvaluationPeriods": 288,
            "Threshold": 0,
            "ComparisonOperator": "GreaterThanThreshold",
            "AlarmDescription": "d" * 1_024,
            "AlarmActions": ["arn:aws:sns:us-east-1:123456789012:t"] * 5,
        }
        self.check(
            "alarms",
            "AWS::CloudWatch::Alarm",
            good,
            {"Metrics": [total, *map(stat, range(11))]},
            {"Metrics": [total, {**stat(0), "ReturnData": True}]},
            {"EvaluationPeriods": 289},
            {"AlarmDescription": "d" * 1_025},
            {"AlarmActions": good["AlarmActions"] * 2},
            {"Metrics": None, "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 90},
        )

    def test_what_is_described_is_what_the_template_says(self):
        key = client("kms").create_key()["KeyMetadata"]["Arn"]
        stat = {"Metric": {"Namespace": "n", "MetricName": "m", "Dimensions": []}, "Period": 300, "Stat": "Sum"}
        metrics = [{"Id": "all", "Expression": "SUM(METRICS())"}, {"Id": "m0", "ReturnData": False, "MetricStat": stat}]
        alarm = {"Metrics": metrics, "EvaluationPeriods": 1, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold"}
        table = {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        }
        stage = {"ApiId": {"Ref": "Api"}, "StageName": "$default", "DefaultRouteSettings": {"ThrottlingRateLimit": 7}}
        resources = {
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": table},
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "described", "ProtocolType": "HTTP"}},
            "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": stage},
        }
        self.assertEqual(self.outcome("described", resources), "CREATE_COMPLETE")
        listed = self.stacks.list_stack_resources(StackName="described")["StackResourceSummaries"]
        ids = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}
        found, = client("cloudwatch").describe_alarms(AlarmNames=[ids["Alarm"]])["MetricAlarms"]
        self.assertEqual([one["Id"] for one in found["Metrics"]], ["all", "m0"])
        dynamodb, name = client("dynamodb"), {"TableName": ids["Table"]}
        self.assertEqual(dynamodb.describe_table(**name)["Table"]["SSEDescription"]["KMSMasterKeyArn"], key)
        self.assertEqual(dynamodb.describe_time_to_live(**name)["TimeToLiveDescription"]["AttributeName"], "ttl")
        backups = dynamodb.describe_continuous_backups(**name)["ContinuousBackupsDescription"]
        self.assertEqual(backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"], "ENABLED")
        found, = client("apigatewayv2").get_stages(ApiId=ids["Api"])["Items"]
        self.assertEqual(found["DefaultRouteSettings"]["ThrottlingRateLimit"], 7)

    def test_a_stage_has_settings_only_for_routes_that_exist(self):
        properties = {"ApiId": {"Ref": "Api"}, "StageName": "$default", "RouteSettings": {"GET /path": {"ThrottlingRateLimit": 7}}}
        route = {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"ApiId": {"Ref": "Api"}, "RouteKey": "GET /path"}}
        resources = {
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "routes", "ProtocolType": "HTTP"}},
            "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": properties},
        }
        self.assertNotEqual(self.outcome("without-route", resources), "CREATE_COMPLETE")
        resources = {**resources, "Route": route, "Stage": {**resources["Stage"], "DependsOn": ["Route"]}}
        self.assertEqual(self.outcome("with-route", resources), "CREATE_COMPLETE")
        listed = self.stacks.list_stack_resources(StackName="with-route")["StackResourceSummaries"]
        ids = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}
        found, = client("apigatewayv2").get_stages(ApiId=ids["Api"])["Items"]
        self.assertEqual(found["RouteSettings"]["GET /path"]["ThrottlingRateLimit"], 7)

    def test_rules(self):
        target = {"Id": "t", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"}
        self.check(
            "rules",
            "AWS::Events::Rule",
            {"EventPattern": {"source": ["x"]}, "Targets": [target]},
            {"EventPattern": None},
            {"EventPattern": None, "ScheduleExpression": "rate(1 minutes)"},
            {"Targets": [{**target, "Id": str(index)} for index in range(6)]},
            {"Targets": [{**target, "RetryPolicy": {"MaximumRetryAttempts": 186}}]},
        )

    def test_policies_of_buses(self):
        bus = client("events").create_event_bus(Name="of-a-policy")["EventBusArn"]
        statement = {"Effect": "Allow", "Principal": {"AWS": [OTHER]}, "Action": "events:PutEvents", "Resource": bus}
        self.check(
            "bus-policies",
            "AWS::Events::EventBusPolicy",
            {"EventBusName": "of-a-policy", "StatementId": "One", "Statement": statement},
            {"EventBusName": "absent"},
            {"StatementId": "a b"},
            {"StatementId": "s" * 65},
            {"Statement": None},
            *({"Statement": {name: value for name, value in statement.items() if name != part}} for part in statement),
            {"Statement": {**statement, "Principal": {"AWS": [OTHER] * 700}}},
        )

    def test_roles_and_policies(self):
        allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
        inline = lambda *statements: {"Policies": [{"PolicyName": "p", "PolicyDocument": json.loads(policy(*statements))}]}
        good = {"AssumeRolePolicyDocument": json.loads(trust("lambda.amazonaws.com")), **inline(allow)}
        self.check(
            "roles",
            "AWS::IAM::Role",
            good,
            inline({**allow, "Condition": {"StringEqual": {"a": "b"}}}),
            inline({**allow, "Resource": "arn:aws:s3:::" + "x" * 10_240}),
        )
        role = client("iam").create_role(RoleName="of-a-policy", AssumeRolePolicyDocument=trust("x"))["Role"]["RoleName"]
        attached = lambda statement: {"PolicyDocument": json.loads(policy(statement))}
        self.check(
            "policies",
            "AWS::IAM::Policy",
            {"PolicyName": "p", "Roles": [role], **attached(allow)},
            attached({**allow, "Sid": "a b"}),
            attached({**allow, "Resource": "arn:aws:s3:::" + "x" * 10_240}),
        )

    def test_queues(self):
        self.check("queues", "AWS::SQS::Queue", {"QueueName": "stack-queue"}, {"QueueName": "q 1"})

    def test_functions(self):
        with contextlib.suppress(ClientError):
            client("s3").create_bucket(Bucket="code")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("bootstrap", "x")
        client("s3").put_object(Bucket="code", Key="f.zip", Body=packed.getvalue())
        client("iam").create_role(RoleName="of-a-stack", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
        good = {
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Role": f"arn:aws:iam::{ACCOUNT}:role/of-a-stack",
            "Code": {"S3Bucket": "code", "S3Key": "f.zip"},
        }
        self.check(
            "functions",
            "AWS::Lambda::Function",
            good,
            {"Timeout": 901},
            {"MemorySize": 64},
            {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        )
        resources = self.stacks.list_stack_resources(StackName="functions")["StackResourceSummaries"]
        name = resources[0]["PhysicalResourceId"]
        config = {"FunctionName": name, "Qualifier": "$LATEST", "MaximumRetryAttempts": 2}
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
        self.check(
            "configs",
            "AWS::Lambda::EventInvokeConfig",
            config,
            {"MaximumRetryAttempts": 3},
            {"DestinationConfig": {"OnFailure": {"Destination": queue}}},
        )
        allow = {"FunctionName": name, "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
        self.check("permissions", "AWS::Lambda::Permission", allow, {"SourceAccount": ACCOUNT})


class HttpApi(Case):
    def test_sizes_of_requests(self):
        api = client("apigatewayv2").create_api(Name="sizes", ProtocolType="HTTP")["ApiId"]
        url = f"{ENDPOINT}/_aws/execute-api/{api}/$default/path"

        def status(headers=None, body=b""):
            request = urllib.request.Request(url, body, headers or {}, method="POST")
            try:
                return urllib.request.urlopen(request).status
            except urllib.error.HTTPError as error:
                return error.code

        self.assertEqual(status({"x-long": "x" * 9_000}), 404)
        self.assertEqual(status({"x-long": "x" * 10_240}), 431)
        self.assertEqual(status(body=b"x" * 10 * 1024 * 1024), 404)
        self.assertEqual(status(body=b"x" * (10 * 1024 * 1024 + 1)), 413)


    def test_a_flood_of_other_routes_uses_up_no_route_with_limits_of_its_own(self):
        api = self.api("throttled", ANSWERS % sys.executable)
        self.allow("throttled", api, "*")
        limits = {"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 2, "DetailedMetricsEnabled": True}
        stage = {"ApiId": api, "StageName": "$default", "DefaultRouteSettings": limits}
        self.gateway.update_stage(**stage, RouteSettings={"GET /path": limits})
        other = [self.get(api, path)[0] for path in ("other", "another", "third")]
        self.assertEqual(other, [404, 404, 429])
        self.assertEqual([self.get(api)[0] for _ in range(3)], [200, 200, 429])
        self.gateway.update_stage(**stage, RouteSettings={})
        self.assertEqual(self.get(api), (429, {"message": "Too Many Requests"}))

    def test_a_function_error_is_hidden(self):
        api = self.api("fails", "#!/bin/sh\nexit 1\n")
        self.allow("fails", api, "*")
        self.assertEqual(self.get(api), (500, {"message": "Internal Server Error"}))

    def test_a_function_allows_the_api(self):
        api = self.api("serves", ANSWERS % sys.executable)
        self.assertEqual(self.get(api), (500, {"message": "Internal Server Error"}))
        self.allow("serves", "another", "*")
        self.assertEqual(self.get(api)[0], 500)
        self.allow("serves", api, "*")
        self.assertEqual(self.get(api), (200, {"isAuthorized": True}))

    def test_an_authorizer_allows_the_api(self):
        api = self.api("behind", ANSWERS % sys.executable)
        self.allow("behind", api, "*")
        decides = Lambda().create("decides", ANSWERS % sys.executable)["FunctionArn"]
        uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{decides}/invocations"
        authorizer = self.gateway.create_authorizer(
            ApiId=api,
            Name="decides",
            AuthorizerType="REQUEST",
            AuthorizerUri=uri,
            AuthorizerPayloadFormatVersion="2.0",
            EnableSimpleResponses=True,
            IdentitySource=["$request.header.Authorization"],
        )["AuthorizerId"]
        route = self.gateway.get_routes(ApiId=api)["Items"][0]["RouteId"]
        self.gateway.update_route(ApiId=api, RouteId=route, AuthorizationType="CUSTOM", AuthorizerId=authorizer)
        self.assertEqual(self.get(api)[0], 500)
        self.allow("decides", api, "authorizers/another")
        self.assertEqual(self.get(api)[0], 500)
        self.allow("decides", api, f"authorizers/{authorizer}")
        self.assertEqual(self.get(api)[0], 200)

    gateway = client("apigatewayv2")

    def api(self, function, program):
        """An API whose only route invokes a new function with this program."""
        Lambda.setUpClass()
        arn = Lambda().create(function, program)["FunctionArn"]
        api = self.gateway.create_api(Name=function, ProtocolType="HTTP")["ApiId"]
        target = {"IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "2.0", "IntegrationUri": arn}
        integration = self.gateway.create_integration(ApiId=api, **target)["IntegrationId"]
        self.gateway.create_route(ApiId=api, RouteKey="GET /path", Target=f"integrations/{integration}")
        self.gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        return api

    def allow(self, function, api, source):
        client("lambda").add_permission(
            FunctionName=function,
            StatementId=f"s{time.monotonic_ns()}",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/{source}",
        )

    def get(self, api, path="path"):
        url = f"{ENDPOINT}/_aws/execute-api/{api}/$default/{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": "a"})) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


class Buckets(Case):
    def test_the_expected_owner(self):
        s3 = client("s3")
        s3.create_bucket(Bucket="owned")
        content = {"Bucket": "owned", "Key": "key", "Body": b"content"}
        s3.put_object(**content, ExpectedBucketOwner=ACCOUNT)
        self.refused("AccessDenied", s3.put_object, **content, ExpectedBucketOwner="111122223333")
        self.refused("403", s3.head_bucket, Bucket="owned", ExpectedBucketOwner="111122223333")


if __name__ == "__main__":
    unittest.main(verbosity=0)
