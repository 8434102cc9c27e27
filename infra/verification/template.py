"""The deployed template with its functions resolved: to what each property must be in AWS."""

import re

NO_VALUE = object()


class Deployed:
    """A stack: its parameters and outputs, the physical id of each resource, and the template as
    CloudFormation expanded it."""

    def __init__(self, stack, resources, template, partition="aws"):
        self.name, self.stack_id = stack["StackName"], stack["StackId"]
        self.region, self.account = self.stack_id.split(":")[3:5]
        self.partition = partition
        self.template = template
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs") or []}
        given = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters") or []}
        defaults = {name: str(one["Default"]) for name, one in template["Parameters"].items() if "Default" in one}
        self.parameters = {**defaults, **given}
        self.physical = {one["LogicalResourceId"]: one.get("PhysicalResourceId", "") for one in resources}

    def of_type(self, kind):
        """Returns {logical name: resolved properties} of the resources that the stack has."""
        found = {}
        for name, resource in self.template["Resources"].items():
            if resource["Type"] == kind and self.has(resource):
                found[name] = self.resolve(resource.get("Properties", {}))
        return found

    def has(self, resource):
        return "Condition" not in resource or self.condition(resource["Condition"])

    def arn(self, service, resource):
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def condition(self, name):
        return self.resolve(self.template["Conditions"][name])

    def resolve(self, value):
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            if function == "Ref":
                return self._reference(argument)
            if function == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if function.startswith("Fn::"):
                return self._function(function[4:], argument)
        resolved = {name: self.resolve(one) for name, one in value.items()}
        return {name: one for name, one in resolved.items() if one is not NO_VALUE}

    def _function(self, function, argument):
        if function == "If":
            return self.resolve(argument[1 if self.condition(argument[0]) else 2])
        if function == "GetAtt":
            logical, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
            return self._attribute(logical, attribute)
        if function == "Sub":
            return self._substitute(argument)
        given = self.resolve(argument)
        if function == "Equals":
            return str(given[0]) == str(given[1])
        if function in ("And", "Or", "Not"):
            return {"And": all, "Or": any, "Not": lambda one: not one[0]}[function](given)
        if function == "Select":
            return given[1][int(given[0])]
        if function == "Split":
            return given[1].split(given[0])
        if function == "Join":
            return given[0].join(given[1])
        raise ValueError(f"the template uses Fn::{function}, which infra/verify does not know")

    def _reference(self, name):
        pseudo = {
            "AWS::AccountId": self.account,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackId": self.stack_id,
            "AWS::StackName": self.name,
            "AWS::URLSuffix": "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        if name not in self.parameters:
            return self.physical.get(name, "")
        value, declared = self.parameters[name], self.template.get("Parameters", {}).get(name, {})
        return value.split(",") if declared.get("Type") == "CommaDelimitedList" else value

    def _substitute(self, argument):
        text, extra = argument if isinstance(argument, list) else (argument, {})
        extra = self.resolve(extra)

        def replaced(found):
            name = found[1]
            if name in extra:
                return str(extra[name])
            return str(self._attribute(*name.split(".", 1)) if "." in name else self._reference(name))

        return re.sub(r"\$\{([^}!]+)\}", replaced, text)

    def _attribute(self, logical, attribute):
        kind, identifier = self.template["Resources"][logical]["Type"], self.physical.get(logical, "")
        last = identifier.rsplit("/", 1)[-1]
        if attribute == "QueueName":
            return last
        if attribute != "Arn":
            raise ValueError(f"the template uses {logical}.{attribute}, which infra/verify does not know")
        if kind == "AWS::IAM::Role":
            return f"arn:{self.partition}:iam::{self.account}:role/{identifier}"
        if kind == "AWS::Events::Rule":  # the id of a rule of another bus is BUS|RULE
            bus = self.resolve(self.template["Resources"][logical]["Properties"].get("EventBusName"))
            return self.arn("events", "/".join(["rule", *([bus] if bus else []), identifier.split("|")[-1]]))
        service, resource = {
            "AWS::DynamoDB::Table": ("dynamodb", f"table/{identifier}"),
            "AWS::Events::EventBus": ("events", f"event-bus/{identifier}"),
            "AWS::KMS::Key": ("kms", f"key/{last}"),
            "AWS::Lambda::Function": ("lambda", f"function:{identifier}"),
            "AWS::Logs::LogGroup": ("logs", f"log-group:{identifier}:*"),
            "AWS::SQS::Queue": ("sqs", last),
        }[kind]
        return self.arn(service, resource)
