"""One verification: the stack, its answers, and what the checks share."""

import json
import os
import time

from .aws import Api, Refused, Unreachable, together
from .checks import Wrong
from .people import People
from .template import Deployed

MOST_LINES = 3  # of a log, in a message
LOGS_ARRIVE = 10  # seconds
ALARMS_PER_CALL = 100


class Run:
    """What the checks of one verification share."""

    def __init__(self, aws, options, template_file, scratch):
        self.aws, self.options, self.template_file, self.scratch = aws, options, template_file, scratch
        self.stack, resources, template, identity = together(
            lambda: aws("cloudformation", "describe-stacks", "--stack-name", options.stack)["Stacks"][0],
            lambda: aws("cloudformation", "list-stack-resources", "--stack-name", options.stack)["StackResourceSummaries"],
            lambda: aws("cloudformation", "get-template", "--stack-name", options.stack, "--template-stage", "Processed")["TemplateBody"],
            lambda: aws("sts", "get-caller-identity"),
        )
        template = json.loads(template) if isinstance(template, str) else template
        self.deployed = Deployed(self.stack, resources, template, identity["Arn"].split(":")[1])
        self.api = Api(self.deployed.outputs["ApiEndpoint"])
        self.people = People(self)
        self.begun_ms = None
        self.reader = self.reader_name = None
        self.metrics_read = 0
        self.mark = None  # of the event that cleanup-run refuses

    def original_template(self):
        return self.aws("cloudformation", "get-template", "--stack-name", self.options.stack, "--template-stage", "Original")["TemplateBody"]

    def write(self, name, content):
        """Writes JSON to the scratch folder, which only this user can read, and returns its path."""
        path = os.path.join(self.scratch, f"{len(os.listdir(self.scratch))}-{name}")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)
        return path

    def pages(self, service, operation, member, *arguments):
        """All elements of a list. The CLI reads all pages."""
        return self.aws(service, operation, *arguments)[member]

    def alarms(self):
        names = [self.deployed.physical[name] for name in self.deployed.of_type("AWS::CloudWatch::Alarm")]
        return self.aws("cloudwatch", "describe-alarms", "--alarm-names", *names[:ALARMS_PER_CALL])["MetricAlarms"]

    # ---- The API ---------------------------------------------------------------------------------

    def called(self, method, path, user, body=None, headers=None, log_of=None):
        """Calls the API as a user of the story, and returns the answer's body."""
        answer = self.api(method, path, self.people.tokens[user], body, headers)
        if not 200 <= answer.status < 300:
            function = log_of or {"GET": "ReadSecrets"}.get(method, "WriteSecrets")
            raise Wrong(f"{method} {path.split('?')[0]}: the API answered {answer.status}: {answer.message()}{self.log_words(function)}")
        return answer.body

    def sent(self, launched, what, body):
        """Sends a report of a run under its token."""
        path = f"/runs/{launched['workflowId']}/{what}"
        answer = self.api("POST", path, launched["runToken"], body)
        if not 200 <= answer.status < 300:
            raise Wrong(f"POST {path}: the API answered {answer.status}: {answer.message()}{self.log_words('ReportRun')}")

    # ---- Logs ------------------------------------------------------------------------------------

    def log_lines(self, group, pattern):
        found = self.aws("logs", "filter-log-events", "--log-group-name", group, "--start-time", str(self.begun_ms), "--filter-pattern", pattern)
        # The emulator has several lines in an event.
        return [line for one in found["events"] for line in one["message"].splitlines()]

    def log_words(self, function):
        """What a function logged about its last errors, for a message: codes and causes."""
        for _ in range(LOGS_ARRIVE // 2):
            try:
                lines = self.log_lines(self.deployed.outputs[f"{function}LogGroup"], '{ $.level = "ERROR" || $.level = "WARN" }')
            except (Refused, Unreachable):
                return ""
            if words := [found for line in lines if (found := cause(line))]:
                return f" Its function logged: {'; '.join(dict.fromkeys(words[-MOST_LINES:]))}"
            time.sleep(2)
        return " Its function logged no error."


def cause(line):
    """The error of a log line, or None. Our lines contain no token, value or body."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or fields.get("level") not in ("ERROR", "WARN"):
        return None
    parts = [fields.get(name) for name in ("error.code", "error.cause", "message")]
    return " ".join(str(one) for one in parts if one) or None


