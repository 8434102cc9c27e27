"""Lints the policies of all roles and keys in the expanded templates and the statements of a launch.

The linter checks that each action, resource and condition key exists in IAM and that they match. A
condition on a key that AWS does not support for an action is never true, and silently disables its
statement.

The first argument is the file of the statements that a launch returns for job roles, the others are
the files of the expanded templates. Prints all findings.
"""

import json
import re
import sys

from parliament import analyze_policy_string, enhance_finding

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "pipeline-secrets",
    "AWS::URLSuffix": "amazonaws.com",
}
ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:us-east-1:123456789012:table/Table",
    "AWS::KMS::Key": "arn:aws:kms:us-east-1:123456789012:key/11112222-3333-4444-5555-666677778888",
    "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/any:*",
    "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:123456789012:Queue",
    "AWS::Events::EventBus": "arn:aws:events:us-east-1:123456789012:event-bus/bus",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/any",
    "AWS::Lambda::Function": "arn:aws:lambda:us-east-1:123456789012:function:any",
}
# Parameters without a default that are resources.
PARAMETERS = {"ServiceBus": "arn:aws:events:us-east-1:123456789012:event-bus/bus"}

SOURCE_PAGE = "https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html"
LOGS_PAGE = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"
# Findings that are accepted: the finding, a part of its text, and the reason.
ACCEPTED = [
    ("RESOURCE_STAR", "kms:", "in a key policy, * is the key itself and the only possible resource"),
    ("UNKNOWN_CONDITION_FOR_ACTION", "kms:EncryptionContext:aws:logs:arn for action kms:DescribeKey", f"the statement is from {LOGS_PAGE}"),
    ("UNKNOWN_CONDITION_FOR_ACTION", "lambda:SourceFunctionArn for action kms:Decrypt", f"every call of a function has this key: {SOURCE_PAGE}"),
    ("MISMATCHED_TYPE", "ArnLike requires", f"the encryption context is an ARN as text; the statement is from {LOGS_PAGE}"),
]


class Resolver:
    """Resolves the intrinsic functions that policies use, with the parameters' defaults."""

    def __init__(self, template):
        self.template = template
        self.functions = {
            "Ref": self.reference,
            "Fn::GetAtt": self.arn,
            "Fn::Sub": self.substitute,
            "Fn::If": lambda given: self.resolve(given[1 if self.resolve(template["Conditions"][given[0]]) else 2]),
            "Fn::Equals": lambda given: len({str(one) for one in self.resolve(given)}) == 1,
            "Fn::Not": lambda given: not self.resolve(given[0]),
            "Fn::Select": lambda given: self.resolve(given[1])[int(given[0])],
            "Fn::Split": lambda given: self.resolve(given[1]).split(given[0]),
        }

    def resolve(self, value):
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one != "AWS::NoValue"]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (function := self.functions.get(next(iter(value)))):
            return function(next(iter(value.values())))
        return {key: self.resolve(one) for key, one in value.items()}

    def reference(self, name):
        parameter = self.template["Parameters"].get(name, {})
        return PSEUDO.get(name) or str(parameter.get("Default", PARAMETERS.get(name, name)))

    def arn(self, path):
        resource, attribute = path if isinstance(path, list) else path.split(".")
        assert attribute == "Arn", path
        return ARNS[self.template["Resources"][resource]["Type"]]

    def substitute(self, given):
        text, extra = given if isinstance(given, list) else (given, {})
        extra = self.resolve(extra)
        return re.sub(r"\$\{([^}]+)\}", lambda found: extra.get(found[1]) or self.reference(found[1]), text)


def policies(template):
    for name, resource in template["Resources"].items():
        document = {"AWS::IAM::Policy": "PolicyDocument", "AWS::KMS::Key": "KeyPolicy"}.get(resource["Type"])
        if document:
            yield name, Resolver(template).resolve(resource["Properties"][document])
        for policy in resource["Properties"].get("Policies", []) if resource["Type"] == "AWS::IAM::Role" else []:
            yield f"{name}/{policy['PolicyName']}", Resolver(template).resolve(policy["PolicyDocument"])


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    statements, *templates = sys.argv[1:]
    documents = {"the statements of a launch": {"Version": "2012-10-17", "Statement": read(statements)}}
    for path in templates:
        documents.update(policies(read(path)))
    findings = 0
    for name, document in documents.items():
        for finding in analyze_policy_string(json.dumps(document)).findings:
            finding = enhance_finding(finding)
            if any(finding.issue == issue and part in str(finding.detail) for issue, part, _ in ACCEPTED):
                continue
            findings += 1
            print(f"{name}: {finding.issue}: {finding.title}: {finding.detail}")
    statements = sum(len(document["Statement"]) for document in documents.values())
    print(f"parliament: {len(documents)} policies, {statements} statements, {findings} findings")
    sys.exit(findings > 0)


main()
