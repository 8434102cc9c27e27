"""Calls AWS with the AWS CLI, which knows every way to sign in, and the service's API over HTTP."""

import json
import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from urllib.parse import urlsplit

PARALLEL_CALLS = 4
# The CLI's form of an error of AWS.
ERROR = re.compile(r"An error occurred \((?P<code>[^)]+)\) when calling the (?P<operation>\w+) operation[^:]*: (?P<words>.*)", re.DOTALL)
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
BAD_CREDENTIALS = (
    "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId",
    "SignatureDoesNotMatch", "IncompleteSignature", "AuthFailure", "NoCredentials",
)
# With `cli_history = enabled` in its configuration, the CLI stores the answers of its calls, and
# some contain credentials. This folder is deleted when the process ends.
HISTORY = tempfile.TemporaryDirectory(prefix="pipeline-secrets-verify-")
API_TIMEOUT = 35  # seconds: API Gateway gives up after 30


class Refused(Exception):
    """AWS refused a call."""

    def __init__(self, code, operation, words):
        super().__init__(f"{operation}: {code}: {' '.join(words.split())}")
        self.code, self.operation = code, operation

    def is_denial(self):
        return self.code in DENIED


class Unreachable(Exception):
    """A call got no answer."""


class Aws:
    """The AWS CLI with the caller's credentials, or with those of a role's session."""

    def __init__(self, session=None):
        self.environment = {
            **os.environ,
            "AWS_PAGER": "",
            "AWS_CLI_AUTO_PROMPT": "off",
            "AWS_CLI_HISTORY_FILE": os.path.join(HISTORY.name, "history.db"),
        }
        if session:
            self.environment.pop("AWS_PROFILE", None)
            self.environment.update(
                AWS_ACCESS_KEY_ID=session["AccessKeyId"],
                AWS_SECRET_ACCESS_KEY=session["SecretAccessKey"],
                AWS_SESSION_TOKEN=session["SessionToken"],
            )
        self.calls = {}
        self._lock = Lock()

    def endpoint(self, service):
        """The address that replaces AWS's own, or None."""
        return self.environment.get(f"AWS_ENDPOINT_URL_{service.upper()}") or self.environment.get("AWS_ENDPOINT_URL")

    def is_local(self, service):
        return urlsplit(self.endpoint(service) or "").hostname in ("127.0.0.1", "localhost", "::1")

    def __call__(self, service, operation, *arguments):
        """Returns the JSON answer of `aws SERVICE OPERATION ARGUMENTS`."""
        # Version 1 of the CLI ignores these variables for SQS.
        if service == "sqs" and self.endpoint(service):
            arguments = (*arguments, "--endpoint-url", self.endpoint(service))
        with self._lock:
            self.calls[service] = self.calls.get(service, 0) + 1
        try:
            done = subprocess.run(
                ["aws", service, operation, *arguments, "--output", "json"],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                check=False, text=True,
            )
        except FileNotFoundError:
            raise Unreachable("the AWS CLI was not found; install it: https://docs.aws.amazon.com/cli/") from None
        if done.returncode == 0:
            return json.loads(done.stdout) if done.stdout.strip() else {}
        if found := ERROR.search(done.stderr):
            raise Refused(found["code"], found["operation"], found["words"])
        words = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        if "credentials" in words.lower():
            raise Refused("NoCredentials", operation, words)
        raise Unreachable(f"aws {service} {operation}: {words}")


def together(*calls):
    """Makes calls in parallel and returns their answers in order."""
    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        return [done.result() for done in [pool.submit(call) for call in calls]]


class Answer:
    """An answer of the service's API. It can contain tokens and values: do not print its body."""

    def __init__(self, status, content):
        self.status, self.content = status, content
        try:
            self.body = json.loads(content)
        except ValueError:
            self.body = None

    def message(self):
        """The service's words about an error. These contain no token or value."""
        found = self.body.get("message") if isinstance(self.body, dict) and self.status >= 400 else None
        return found if isinstance(found, str) else ""


class Api:
    """The service's API."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.requests = 0

    def __call__(self, method, path, token=None, body=None, headers=None):
        self.requests += 1
        headers = {"User-Agent": "pipeline-secrets-verify", **(headers or {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.endpoint + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=API_TIMEOUT) as answer:
                return Answer(answer.status, answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode("utf-8", "replace"))
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(f"{method} {self.endpoint}{path.split('?')[0]}: {reason}") from None
