"""What the story makes, and its removal: users, a workspace, secrets, runs, a role."""

import json
import secrets
import time
from datetime import datetime, timedelta, timezone

from .aws import Refused, Unreachable
from .checks import Wrong

NAME_OF_TOKEN = "verify"
USERS = {"owner": "owner", "launcher": "launch", "viewer": "view"}
LIFETIME = timedelta(hours=1)  # of the tokens
ROWS_PER_REQUEST = 25  # of BatchWriteItem


class People:
    """A workspace and its users. Everything has a name of its own, so several can exist."""

    def __init__(self, run):
        self.run = run
        now = datetime.now(timezone.utc)
        self.name = f"verify-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        self.expires = (now + LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.begun = False
        self.workspace = self.organization = None
        self.users, self.tokens = {}, {}
        self.secrets, self.copies = [], []
        self.launches = {}  # idempotency key: the request, and the answer or None
        self.role = None

    def path(self, path, **query):
        query = {"workspaceId": self.workspace, **query}
        return f"{path}?{'&'.join(f'{name}={value}' for name, value in query.items())}"

    def create(self):
        self.begun = True
        applied = self._apply(revoked=False)
        self._remember(applied)
        for user in applied["users"]:
            self.tokens[user["userName"].rsplit("-", 1)[1]] = user["tokens"][0]["accessKey"]

    def _remember(self, applied):
        organization = applied["organizations"][0]
        self.organization, self.workspace = organization["id"], organization["workspaces"][0]["id"]
        self.users = {user["userName"]: user["id"] for user in applied["users"]}

    def _apply(self, revoked):
        token = {"name": NAME_OF_TOKEN, **({"revoked": True} if revoked else {"expires": self.expires})}
        users = [{"userName": f"{self.name}-{one}", "email": f"{self.name}-{one}@example.org", "tokens": [token]} for one in USERS]
        participants = [{"user": f"{self.name}-{one}", "role": role} for one, role in USERS.items()]
        workspace = {"name": "verify", "platforms": ["aws-batch", "slurm"], "participants": participants}
        document = {"users": users, "organizations": [{"name": self.name, "workspaces": [workspace]}]}
        request, answer = self.run.write("apply.json", {"apply": document}), self.run.write("applied.json", {})
        invoked = self.run.aws(
            "lambda", "invoke", "--function-name", self.run.deployed.outputs["IdentityFunction"], "--payload", f"fileb://{request}", answer
        )
        with open(answer, encoding="utf-8") as file:
            result = json.load(file)
        if invoked.get("FunctionError") or "error" in result:
            words = result.get("errorType") or result.get("error", {}).get("message")
            raise Unreachable(f"identity could not make users and a workspace: {words}.{self.run.log_words('Identity')}")
        return result

    def launch(self, body, key):
        """Launches a run, or returns the run of this key with new tokens."""
        self.launches.setdefault(key, (body, None))  # first: an interrupted request can have made the run
        launched = self.run.called("POST", self.path("/launches"), "launcher", body, {"Idempotency-Key": key}, log_of="LaunchRun")
        self.launches[key] = (body, launched)
        receipt = self.run.called("GET", f"/runs/{launched['workflowId']}", "launcher")
        self.copies += [name for name in receipt["copies"] if name not in self.copies]
        return launched

    def create_role(self, statements):
        name = f"{self.name}-jobs"  # not with the stack's name, for which RoleChangesAlarm goes off
        principal = {"AWS": f"arn:{self.run.deployed.partition}:iam::{self.run.deployed.account}:root"}
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}
        policy = {"Version": "2012-10-17", "Statement": statements}
        self.role = name  # first: an interrupted call can have made the role
        made = self.run.aws("iam", "create-role", "--role-name", name, "--assume-role-policy-document", json.dumps(trust))
        self.run.aws("iam", "put-role-policy", "--role-name", name, "--policy-name", "copies", "--policy-document", json.dumps(policy))
        return made["Role"]["Arn"]

    def wait_for_end(self, launched, seconds):
        deadline = time.monotonic() + seconds
        while True:
            answer = self.run.api("GET", f"/runs/{launched['workflowId']}", self.tokens["launcher"])
            state = answer.body["state"] if answer.status == 200 else f"unknown ({answer.status})"
            if state == "ended" or time.monotonic() > deadline:
                return state
            time.sleep(1)

    def copies_left(self):
        left = []
        for name in self.copies:
            try:
                described = self.run.aws("secretsmanager", "describe-secret", "--secret-id", name)
            except Refused as refused:
                if refused.code != "ResourceNotFoundException":
                    raise
                continue
            if not described.get("DeletedDate"):
                left.append(name)
        return left

    # ---- Removal --------------------------------------------------------------------------------

    def remove(self):
        """Removes everything, and returns what is left as texts that say what to do."""
        left = []
        if self.run.mark:
            left.append(f"the event {self.run.mark} arrives in the queue FailedCleanups within five minutes: delete its message")
        for step in (self._end_runs, self._delete_secrets, self._delete_role, self._revoke_tokens, self._delete_rows):
            try:
                left += step() or []
            except (Refused, Unreachable) as error:
                left.append(f"{step.__doc__} {error}")
        return left

    def _end_runs(self):
        """Runs of the story, which end by themselves within a day:"""
        for key, (body, launched) in list(self.launches.items()):
            tries = 3 if launched is None and self.tokens else 0  # the answer was lost: repeat the request
            while tries:
                tries -= 1
                try:
                    self.launch(body, key)
                    break
                except Wrong:
                    time.sleep(2)
        runs = [launched for _, launched in self.launches.values() if launched]
        for launched in runs:
            self.run.api("POST", f"/runs/{launched['workflowId']}/end", launched["runToken"], {"success": True})
        states = {launched["workflowId"]: self.wait_for_end(launched, 60) for launched in runs}
        left = [f"run {name} is {state}; the sweep deletes its copies" for name, state in states.items() if state != "ended"]
        return left + [f"the copy {name}; delete it: aws secretsmanager delete-secret --secret-id {name}" for name in self.copies_left()]

    def _delete_secrets(self):
        """Secrets of the story:"""
        answers = [(path, self.run.api("DELETE", path, self.tokens[user])) for path, user in self.secrets]
        return [f"the secret {path.split('?')[0]}: {answer.status} {answer.message()}" for path, answer in answers if answer.status not in (200, 204, 404)]

    def _delete_role(self):
        """The role of the story; delete it by hand:"""
        if self.role:
            for operation in (["delete-role-policy", "--policy-name", "copies"], ["delete-role"]):
                try:
                    self.run.aws("iam", operation[0], "--role-name", self.role, *operation[1:])
                except Refused as refused:
                    if refused.code != "NoSuchEntity":
                        return [f"the role {self.role}; delete it by hand: {refused}"]

    def _revoke_tokens(self):
        """Tokens of the story, which expire within an hour:"""
        if self.begun:
            self._remember(self._apply(revoked=True))  # also finds what an interrupted call has made

    def _delete_rows(self):
        """Rows of the users and the workspace, which have no token and no secret any more:"""
        if not self.begun or not self.users:
            return
        keys = [("ORG#name", self.name), *self._rows(f"ORG#{self.organization}"), *self._rows(f"WS#{self.workspace}")]
        keys += [*self._rows(f"MEMBERS#{self.workspace}"), *self._rows(f"SECRETS#WS#{self.workspace}")]
        for name, user in self.users.items():
            keys += [("LOGIN#name", name), ("LOGIN#email", f"{name}@example.org")]
            keys += [*self._rows(f"USER#{user}"), *self._rows(f"SECRETS#USER#{user}")]
        table = self.run.deployed.outputs["TableName"]
        for first in range(0, len(keys), ROWS_PER_REQUEST):
            some = [{"DeleteRequest": {"Key": {"pk": {"S": pk}, "sk": {"S": sk}}}} for pk, sk in keys[first : first + ROWS_PER_REQUEST]]
            request = self.run.write("rows.json", {table: some})
            answer = self.run.aws("dynamodb", "batch-write-item", "--request-items", f"file://{request}")
            if answer.get("UnprocessedItems"):
                return [f"rows of {self.name} in table {table}: DynamoDB throttled the deletion"]

    def _rows(self, partition):
        values = json.dumps({":pk": {"S": partition}})
        found = self.run.aws(
            "dynamodb", "query", "--table-name", self.run.deployed.outputs["TableName"], "--consistent-read",
            "--key-condition-expression", "pk = :pk", "--expression-attribute-values", values, "--projection-expression", "pk, sk",
        )
        return [(row["pk"]["S"], row["sk"]["S"]) for row in found["Items"]]
