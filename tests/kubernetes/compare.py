"""Sends the same requests to a real API server and to the stand-in, and compares the answers."""
import base64
import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time

from kube import Cluster
import stand_in


OWNER = {"uid": ""}  # one that lives: Kubernetes deletes a Secret with a dead owner at once


class StandIn(Cluster):
    """The stand-in, with the client of a real cluster."""

    def __init__(self, folder):
        super().__init__(None, folder)
        self.process = subprocess.Popen([sys.executable, "-B", stand_in.__file__, folder])
        self.wait("the stand-in", (folder / "port").exists)
        self.port = int((folder / "port").read_text())


def manifest(name, data, **more):
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": OWNER["uid"]}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": True,
            "metadata": {"name": name, "ownerReferences": [owner]}, "data": data, **more}


def size(count):
    return {f"S{number}": base64.b64encode(b"x" * (count // 64)).decode() for number in range(64)}


def requests(namespace):
    """Each request: name, method, path, body."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    no_uid = manifest("tower-b", {})
    del no_uid["metadata"]["ownerReferences"][0]["uid"]
    return [
        ("dry run", "POST", path + "?dryRun=All", manifest("tower-a", {})),
        ("a dry run leaves nothing", "POST", path + "?dryRun=All", manifest("tower-a", {})),
        ("created", "POST", path, manifest("tower-a", {"A": "eA=="})),
        ("exists", "POST", path, manifest("tower-a", {"A": "eA=="})),
        ("exists, dry run", "POST", path + "?dryRun=All", manifest("tower-a", {})),
        ("capitals", "POST", path, manifest("tower-A", {})),
        ("underscore", "POST", path, manifest("tower_a", {})),
        ("no UID of the owner", "POST", path, no_uid),
        ("key with a slash", "POST", path, manifest("tower-c", {"a/b": "eA=="})),
        ("no base64", "POST", path, manifest("tower-c", {"A": "!"})),
        ("base64 without padding", "POST", path, manifest("tower-c", {"A": "eA"})),
        ("1 MiB", "POST", path, manifest("tower-most", size(1024 * 1024))),
        ("more than 1 MiB", "POST", path, manifest("tower-more", {**size(1024 * 1024), "B": "eA=="})),
        ("more than 1 MiB, dry run", "POST", path + "?dryRun=All", manifest("tower-more", {**size(1024 * 1024), "B": "eA=="})),
        ("unknown dry run", "POST", path + "?dryRun=Some", manifest("tower-d", {})),
        ("not JSON", "POST", path, b"{"),
        ("another kind", "POST", path, manifest("tower-d", {}, kind="Pod")),
        ("get", "GET", path + "/tower-a", None),
        ("list", "GET", path, None),
        ("delete", "DELETE", path + "/tower-a", None),
        ("another namespace", "POST", "/api/v1/namespaces/default/secrets", manifest("tower-a", {})),
    ]


def seen(answer):
    """What the script looks at."""
    code, body = answer
    if code == 201:
        return code, body.get("kind"), "data" in body, body["metadata"]["name"]
    message = body.get("message", "")
    return code, body.get("reason"), message if code in (401, 403, 409) else "Too long: may not be more" in message


def compare(cluster, namespace):
    """Compares the answers to the service account of the head job, and to an unknown token."""
    assert namespace == stand_in.NAMESPACE
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stand-in"))
    other = StandIn(folder)
    token = cluster.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/nextflow-head/token", {"spec": {}})
    token = token["status"]["token"]
    owner = cluster.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "owner"}})
    OWNER["uid"] = owner["metadata"]["uid"]
    different = []
    try:
        for name, method, path, body in requests(namespace):
            real = seen(cluster.raw(method, path, body, token=token, accept=f"{stand_in.METADATA}, application/json"))
            ours = seen(other.raw(method, path, body, token=stand_in.TOKEN, accept=f"{stand_in.METADATA}, application/json"))
            if real != ours:
                different.append((name, real, ours))
        for each in (cluster, other):
            assert seen(each.raw("POST", path, {}, token="unknown")) == (401, "Unauthorized", "Unauthorized")
    finally:
        other.process.kill()
        subprocess.run(["rm", "-rf", folder])
        for name in ("tower-a", "tower-most"):
            cluster.raw("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{name}")
    assert not different, "\n".join(map(str, different))
    return f"{len(requests(namespace)) + 1} requests have the same answers"
