"""A real control plane (etcd, kube-apiserver, kube-controller-manager), and a stand-in for a kubelet."""
import base64
import datetime
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

CONTROLLERS = ("garbage-collector-controller,ttl-after-finished-controller,job-controller,serviceaccount-controller,"
               "resourcequota-controller,pod-garbage-collector-controller,namespace-controller")
ADMIN = "admin-token"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Refused(Exception):
    def __init__(self, code, answer):
        super().__init__(f"{code} {answer.get('message')}")
        self.code, self.answer = code, answer


class Cluster:
    """The control plane, in a folder."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.port, self.processes = free_port(), []
        self.context = ssl._create_unverified_context()

    def start(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kubernetes",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.crt"],
            cwd=self.folder, check=True, stderr=subprocess.DEVNULL)
        (self.folder / "tokens.csv").write_text(f'{ADMIN},admin,1,"system:masters"\n')
        client, peer = free_port(), free_port()
        self.run("etcd", str(self.folder / "etcd"), str(client), str(peer))
        time.sleep(1)
        self.run(
            "apiserver", f"--etcd-servers=http://127.0.0.1:{client}", f"--secure-port={self.port}",
            "--bind-address=127.0.0.1", "--tls-cert-file=ca.crt", "--tls-private-key-file=key.pem",
            "--service-account-issuer=https://kubernetes.local", "--service-account-signing-key-file=key.pem",
            "--service-account-key-file=key.pem", "--token-auth-file=tokens.csv", "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.9.0.0/24",
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement", "--allow-privileged=true")
        (self.folder / "kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "c", "cluster": {"server": self.url(), "insecure-skip-tls-verify": True}}],
            "users": [{"name": "u", "user": {"token": ADMIN}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}))
        self.wait("the API server", lambda: self.raw("GET", "/readyz")[0] == 200)
        self.run("manager", *[f"--{what}kubeconfig=kubeconfig" for what in ("", "authentication-", "authorization-")],
                 f"--controllers={CONTROLLERS}", "--leader-elect=false", "--bind-address=127.0.0.1",
                 f"--secure-port={free_port()}", "--service-account-private-key-file=key.pem")

    def run(self, *words):
        log = open(self.folder / f"{words[0]}.log", "wb")
        self.processes.append(
            subprocess.Popen([self.program, *words], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT))

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()

    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def raw(self, method, path, body=None, token=ADMIN, kind="application/json", accept="application/json"):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url() + path, method=method, data=data, headers={
            "Authorization": f"Bearer {token}", "Content-Type": kind, "Accept": accept})
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
                text = answer.read()
                code = answer.status
        except urllib.error.HTTPError as error:
            code, text = error.code, error.read()
        except (urllib.error.URLError, ConnectionError):
            return 0, {}
        try:
            return code, json.loads(text)
        except ValueError:
            return code, {"message": text.decode(errors="replace")}

    def call(self, method, path, body=None, **more):
        code, answer = self.raw(method, path, body, **more)
        if not 200 <= code < 300:
            raise Refused(code, answer)
        return answer

    @staticmethod
    def wait(what, condition, seconds=180):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"timed out waiting for {what}")
            time.sleep(0.1)


def now():
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(datetime, "UTC") else \
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Kubelet:
    """Runs pods as processes of this machine, each with its own mounts: environment, secrets, volumes and
    the service account are those that a kubelet gives a container. Images are ignored."""

    def __init__(self, cluster, folder, environment):
        self.cluster, self.folder, self.environment = cluster, folder, environment
        self.seen, self.running, self.stopped = set(), {}, False
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while not self.stopped:
            try:
                for pod in self.cluster.call("GET", "/api/v1/pods")["items"]:
                    self.look(pod)
            except (Refused, OSError, KeyError):
                pass
            time.sleep(0.2)

    def look(self, pod):
        uid = pod["metadata"]["uid"]
        if "deletionTimestamp" in pod["metadata"]:
            if (process := self.running.get(uid)) and process.poll() is None:
                process.send_signal(signal.SIGTERM)
            elif uid in self.running or uid not in self.seen:
                self.remove(pod)
        elif uid not in self.seen and pod["status"].get("phase") == "Pending":
            self.seen.add(uid)
            threading.Thread(target=self.start, args=[pod], daemon=True).start()

    def path(self, pod):
        return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"

    def remove(self, pod):
        self.cluster.raw("DELETE", self.path(pod), {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}})

    def report(self, pod, phase, state):
        container = pod["spec"]["containers"][0]
        status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": phase == "Running",
                  "restartCount": 0, "state": state}
        self.cluster.raw("PATCH", self.path(pod) + "/status", {"status": {"phase": phase, "containerStatuses": [status]}},
                         kind="application/strategic-merge-patch+json")

    def variables(self, pod):
        namespace, container = pod["metadata"]["namespace"], pod["spec"]["containers"][0]
        values = dict(self.environment)
        for entry in container.get("env", []):
            source = entry.get("valueFrom") or {}
            if reference := source.get("secretKeyRef"):
                code, secret = self.cluster.raw("GET", f"/api/v1/namespaces/{namespace}/secrets/{reference['name']}")
                if code != 200:
                    raise LookupError(f'secret "{reference["name"]}" not found')
                if reference["key"] not in secret.get("data", {}):
                    raise LookupError(f"couldn't find key {reference['key']} in Secret {namespace}/{reference['name']}")
                values[entry["name"]] = base64.b64decode(secret["data"][reference["key"]])
            elif reference := source.get("fieldRef"):
                values[entry["name"]] = pod["metadata"][reference["fieldPath"].removeprefix("metadata.")]
            else:
                values[entry["name"]] = entry.get("value", "")
        return values

    def mounts(self, pod, home):
        """Lines of a shell that mount the volumes. Their mount points exist on this machine."""
        namespace, spec = pod["metadata"]["namespace"], pod["spec"]
        account = spec.get("serviceAccountName", "default")
        lines = ["set -e", "mount -t tmpfs none /run"]
        folder = "/run/secrets/kubernetes.io/serviceaccount"
        if self.cluster.call("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}").get(
                "automountServiceAccountToken", True):
            token = self.cluster.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
                                      {"spec": {"expirationSeconds": 3600}})["status"]["token"]
            (home / "token").write_text(token)
            (home / "namespace").write_text(namespace)
            (home / "ca.crt").write_bytes((self.cluster.folder / "ca.crt").read_bytes())
            lines += [f"mkdir -p {folder}", f"cp {home}/token {home}/namespace {home}/ca.crt {folder}/"]
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        for mount in spec["containers"][0].get("volumeMounts", []):
            volume, path = volumes.get(mount["name"], {}), mount["mountPath"]
            if "emptyDir" in volume:
                kind = "tmpfs" if volume["emptyDir"].get("medium") == "Memory" else None
                lines += [f"mkdir -p {path}", f"mount -t tmpfs -o mode=0777 none {path}"] if kind else []
            elif "configMap" in volume:
                data = self.cluster.call(
                    "GET", f"/api/v1/namespaces/{namespace}/configmaps/{volume['configMap']['name']}")["data"]
                (home / "map").mkdir()
                for name, text in data.items():
                    (home / "map" / name).write_text(text)
                    (home / "map" / name).chmod(volume["configMap"].get("defaultMode", 0o644))
                lines.append(f"mount --bind {home}/map {path}")
            # A claim of a volume is its mount point on this machine.
        if directory := spec["containers"][0].get("workingDir"):
            lines.append(f"cd {directory}")
        return lines + ['exec "$@"']

    def start(self, pod):
        uid, container = pod["metadata"]["uid"], pod["spec"]["containers"][0]
        home = self.folder / uid
        home.mkdir()
        try:
            values = self.variables(pod)
            lines = self.mounts(pod, home)
        except LookupError as error:
            self.report(pod, "Pending", {"waiting": {"reason": "CreateContainerConfigError", "message": str(error)}})
            return
        began = now()
        words = container.get("command", []) + container.get("args", [])
        with open(home / "log", "wb") as log:
            process = subprocess.Popen(["unshare", "-m", "sh", "-c", "\n".join(lines), "sh", *words], env=values,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.running[uid] = process
        self.report(pod, "Running", {"running": {"startedAt": began}})
        code = process.wait()
        code = 128 - code if code < 0 else code
        self.report(pod, "Succeeded" if code == 0 else "Failed",
                    {"terminated": {"exitCode": code, "startedAt": began, "finishedAt": now()}})

    def log(self, pod):
        return (self.folder / pod["metadata"]["uid"] / "log").read_text(errors="replace")

    def stop(self):
        self.stopped = True
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
