"""Runs schemathesis against the stack that `with-stack` deployed: as owner, as viewer, as stranger, and as owner with the stranger
asking for what is the owner's.

Ids of what exists reach the requests by dictionaries, beside those that schemathesis makes up.
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


def ask(token, method, path, body=None):
    """The status and the JSON of an answer."""
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
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def expect(status, answer):
    if answer[0] != status:
        sys.exit(f"expected {status}, not {answer}")
    return answer[1]


# The end of the configuration, which is in its section `parameters`.
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

# Without ids that are known beforehand: only of what the owner made on the way is it known whose it is.
AS_PEERS = """
[auth.wfc]
path = "peers.json"
peers = ["owner", "stranger"]
"""


def try_as(person, schemathesis, folder, auth, *options):
    """Whether schemathesis found nothing."""
    owner, token = token_of("owner"), token_of(person)
    inside = f"?workspaceId={WORKSPACE}"
    me = expect(200, ask(token, "GET", "/user-info"))["user"]["id"]
    other = expect(200, ask(token_of("connect"), "GET", "/user-info"))["user"]["id"]
    tokens = expect(200, ask(token, "GET", "/tokens"))["tokens"]
    secret = {"name": f"S{secrets.token_hex(4)}", "value": "v"}
    secret = expect(200, ask(owner, "POST", f"/pipeline-secrets{inside}", secret))
    launch = {"platform": "slurm", "userSecrets": [], "workspaceSecrets": []}
    run = expect(200, ask(owner, "POST", f"/launches{inside}", launch))
    seen = ask(token, "GET", f"/pipeline-secrets{inside}")[0]

    known = {"workspace": WORKSPACE, "org": ORG, "user": me, "other": other}
    known |= {"secret": secret["secretId"], "run": run["workflowId"]}
    config = folder / "schemathesis.toml"
    lines = [f"hooks = {json.dumps(str(HERE / 'hooks.py'))}", (HERE / "schemathesis.toml").read_text(), auth]
    lines += [f"[dictionaries.{name}]\nvalues = [{json.dumps(value)}]" for name, value in known.items()]
    config.write_text("\n".join(lines))
    shown = {"TOKEN": token, "RUN_TOKEN": run["runToken"], "CLAIM_TOKEN": run["claimToken"]}
    own = {"OWN_TOKEN_ID": str(tokens[0]["id"]), "OWN_USER_ID": str(me)}
    order = [schemathesis, f"--config-file={config}", "run", DESCRIPTION, f"--url={ENDPOINT}", *options]
    done = subprocess.run(order, env=os.environ | shown | own, cwd=folder, check=False)
    # Had it lost its token or its part on the way, the rest would have shown nothing.
    assert ask(token, "GET", f"/pipeline-secrets{inside}")[0] == seen, f"{person} is not who it was"
    return done.returncode == 0


def main():
    schemathesis = Path(sys.argv[1]).absolute()
    nothing_found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = [
            {"name": person, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token_of(person)}"}]}
            for person in ("owner", "stranger")
        ]
        (folder / "peers.json").write_text(json.dumps({"auth": peers}))
        print("\n==> what is the owner's, as the stranger", flush=True)
        only = ("--checks=object_level_authorization", "--include-tag=Pipeline secrets", "--include-tag=Runs")
        nothing_found.append(try_as("owner", schemathesis, folder, AS_PEERS, *only))
        # The owner last, who may remove the others.
        for person in ("stranger", "view", "owner"):
            print(f"\n==> as {person}", flush=True)
            nothing_found.append(try_as(person, schemathesis, folder, AS_ONE))
    sys.exit(0 if all(nothing_found) else 1)


main()
