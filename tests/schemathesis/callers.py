"""Runs schemathesis against the stack that `with-stack` deployed, as owner, viewer and stranger.

Another run checks that the stranger cannot access the owner's items. Dictionaries provide ids of
existing items, in addition to the ids that schemathesis generates.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
DESCRIPTION = HERE.parent.parent / "docs/openapi.json"
ENDPOINT = os.environ["PIPELINE_SECRETS_ENDPOINT"]
WORKSPACE = int(os.environ["PIPELINE_SECRETS_WORKSPACE"])
ORG = int(os.environ["PIPELINE_SECRETS_ORG"])


def token_of(person):
    return os.environ[f"PIPELINE_SECRETS_TOKEN_{person.upper()}"]


def call(token, method, path, body=None):
    """Sends a request and returns the status and JSON of the response."""
    request = urllib.request.Request(
        ENDPOINT + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def expect(status, answer):
    if answer[0] != status:
        sys.exit(f"expected status {status}, got {answer}")
    return answer[1]


# The end of the configuration, which continues its section `parameters`.
AS_ONE = """
"path.secretId" = { dictionary = "secret", probability = 0.6 }
"path.workflowId" = { dictionary = "run", probability = 0.7 }

[auth.openapi]
token.bearer = "${TOKEN}"
tokenAsBasic = { username = "@token", password = "${TOKEN}" }
runToken.bearer = "${RUN_TOKEN}"
runTokenAsBasic = { username = "@token", password = "${RUN_TOKEN}" }
claimToken.bearer = "${CLAIM_TOKEN}"
"""

# Without dictionaries of ids: only items that the owner creates during the run have a known owner.
AS_PEERS = """
[auth.wfc]
path = "peers.json"
peers = ["owner", "stranger"]
"""


def run_as(person, schemathesis, folder, auth, *options):
    """Runs schemathesis as this person and returns whether it found no failures."""
    owner, token = token_of("owner"), token_of(person)
    inside = f"?workspaceId={WORKSPACE}"
    me = expect(200, call(token, "GET", "/user-info"))["user"]["id"]
    other = expect(200, call(token_of("connect"), "GET", "/user-info"))["user"]["id"]
    tokens = expect(200, call(token, "GET", "/tokens"))["tokens"]
    secret = {"name": f"S{secrets.token_hex(4)}", "value": "v"}
    secret = expect(200, call(owner, "POST", f"/pipeline-secrets{inside}", secret))
    launch = {"platform": "slurm", "userSecrets": [], "workspaceSecrets": []}
    run = expect(200, call(owner, "POST", f"/launches{inside}", launch))
    status_before = call(token, "GET", f"/pipeline-secrets{inside}")[0]

    known = {"workspace": WORKSPACE, "org": ORG, "user": me, "other": other}
    known |= {"secret": secret["secretId"], "run": run["workflowId"]}
    config = folder / "schemathesis.toml"
    lines = [f"hooks = {json.dumps(str(HERE / 'hooks.py'))}", (HERE / "schemathesis.toml").read_text(), auth]
    lines += [f"[dictionaries.{name}]\nvalues = [{json.dumps(value)}]" for name, value in known.items()]
    config.write_text("\n".join(lines))
    tokens_of_run = {"TOKEN": token, "RUN_TOKEN": run["runToken"], "CLAIM_TOKEN": run["claimToken"]}
    own_ids = {"OWN_TOKEN_ID": str(tokens[0]["id"]), "OWN_USER_ID": str(me)}
    command = [schemathesis, f"--config-file={config}", "run", DESCRIPTION, f"--url={ENDPOINT}", *options]
    done = subprocess.run(command, env=os.environ | tokens_of_run | own_ids, cwd=folder, check=False)
    # A caller that loses its token or role during the run would make the rest of it meaningless.
    status = call(token, "GET", f"/pipeline-secrets{inside}")[0]
    assert status == status_before, f"{person} has lost a token or role"
    return done.returncode == 0


def main():
    schemathesis = Path(sys.argv[1]).absolute()
    passed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = [
            {"name": person, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token_of(person)}"}]}
            for person in ("owner", "stranger")
        ]
        (folder / "peers.json").write_text(json.dumps({"auth": peers}))
        print("\n==> the owner's items, as the stranger", flush=True)
        only = ("--checks=object_level_authorization", "--include-tag=Pipeline secrets", "--include-tag=Runs")
        passed.append(run_as("owner", schemathesis, folder, AS_PEERS, *only))
        # The owner is last, because the owner may remove the others.
        for person in ("stranger", "view", "owner"):
            print(f"\n==> as {person}", flush=True)
            passed.append(run_as(person, schemathesis, folder, AS_ONE))
    sys.exit(0 if all(passed) else 1)


main()
