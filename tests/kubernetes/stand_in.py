"""Answers the requests of the script to a Kubernetes API server, and as strictly as one.

usage: stand_in.py DIRECTORY      needs: openssl

It writes a service account into DIRECTORY (`account`, with a token, a CA and a namespace) and its
port into `port`, and keeps the Secrets in `secrets.json`. The files `fault` and `rules.json` change its
answers, and are read for each request. `compare.py` sends the same requests to a real API
server and compares the answers.
"""
import base64
import binascii
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

NAMESPACE = "pipelines"
TOKEN = "stand-in.token_of-the-service-account"
USER = f"system:serviceaccount:{NAMESPACE}:nextflow-head"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
MAX_SECRET = 1024 * 1024
MAX_REQUEST = 3 * 1024 * 1024
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
KEY = re.compile(r"[-._a-zA-Z0-9]+")
OWNER = ("apiVersion", "kind", "name", "uid")


def status(code, reason, message):
    return code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                  "reason": reason, "code": code}


def invalid(name, message):
    return status(422, "Invalid", f'Secret "{name}" is invalid: {message}')


class Cluster:
    """The Secrets of a namespace, and what the service account may do there."""

    def __init__(self, directory):
        self.directory = directory

    @property
    def secrets(self):
        try:
            return json.loads((self.directory / "secrets.json").read_text())
        except FileNotFoundError:
            return {}

    def rules(self):
        """`verbs` that the role allows on Secrets, and the `quota` of Secrets, if there is one."""
        try:
            return json.loads((self.directory / "rules.json").read_text())
        except FileNotFoundError:
            return {"verbs": ["create"]}

    def answer(self, method, path, query, headers, body):
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return status(401, "Unauthorized", "Unauthorized")
        found = re.fullmatch(r"/api/v1/namespaces/([^/]+)/secrets(?:/([^/]+))?", path)
        if not found:
            return status(403, "Forbidden", f'forbidden: User "{USER}" cannot {method.lower()} path "{path}"')
        namespace, name = found.groups()
        verb = {"POST": "create", "DELETE": "delete", "PATCH": "patch", "PUT": "update"}.get(
            method, "get" if name else "list")
        if namespace != NAMESPACE or verb not in self.rules()["verbs"]:
            what = f'secrets "{name}"' if name else "secrets"
            return status(403, "Forbidden", f'{what} is forbidden: User "{USER}" cannot {verb} resource "secrets" '
                          f'in API group "" in the namespace "{namespace}"')
        if verb != "create":
            raise NotImplementedError(verb)
        return self.create(query, headers, body)

    def create(self, query, headers, body):
        if len(body) > MAX_REQUEST:
            return status(413, "RequestEntityTooLarge",
                          f"Request entity too large: limit is {MAX_REQUEST}")
        if headers.get("content-type") != "application/json":
            return status(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        try:
            secret = json.loads(body)
            data = {key: base64.b64decode(value, validate=True) for key, value in secret.get("data", {}).items()}
        except (ValueError, AttributeError, binascii.Error):
            return status(400, "BadRequest", "Secret in version \"v1\" cannot be handled as a Secret")
        if (secret.get("apiVersion"), secret.get("kind")) != ("v1", "Secret"):
            return status(400, "BadRequest", "the object provided is unrecognized")
        metadata = secret["metadata"]
        name = metadata["name"]
        quota = self.rules().get("quota")
        if quota is not None and len(self.secrets) >= quota:
            used = len(self.secrets)
            return status(403, "Forbidden", f'secrets "{name}" is forbidden: exceeded quota: few, requested: secrets=1, '
                          f"used: secrets={used}, limited: secrets={quota}")
        if len(name) > 253 or not SUBDOMAIN.fullmatch(name):
            return invalid(name, "metadata.name")
        if any(not owner.get(field) for owner in metadata.get("ownerReferences", []) for field in OWNER):
            return invalid(name, "metadata.ownerReferences")
        if not all(len(key) <= 253 and KEY.fullmatch(key) for key in data):
            return invalid(name, "data")
        if sum(map(len, data.values())) > MAX_SECRET:
            return invalid(name, f"data: Too long: may not be more than {MAX_SECRET} bytes")
        if query.get("dryRun", ["All"]) != ["All"]:
            return status(422, "Invalid", " \"\" is invalid: dryRun")
        if name in self.secrets:
            return status(409, "AlreadyExists", f'secrets "{name}" already exists')
        if "dryRun" not in query:
            (self.directory / "secrets.json").write_text(json.dumps({**self.secrets, name: secret}))
        if METADATA in headers.get("accept", ""):
            return 201, {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        return 201, secret


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_request(self):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        query = parse_qs(url.query)
        headers = {name.lower(): value for name, value in self.headers.items()}
        with open(CLUSTER.directory / "requests", "a", encoding="utf-8") as requests:
            requests.write(f"{self.command} {self.path}\n")
        fault = self.fault("dryRun" in query)
        if fault.isdigit():
            code, answer = status(int(fault), "InternalError", "etcdserver: request timed out")
        else:
            code, answer = CLUSTER.answer(self.command, url.path, query, headers, body)
        if fault == "lost":  # after it took effect
            self.close_connection = True
            return
        text = json.dumps(answer, separators=(",", ":")).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request

    @staticmethod
    def fault(dry_run):
        """A line `dry|real COUNT lost|STATUS` of the file `fault`, for the next COUNT requests."""
        file = CLUSTER.directory / "fault"
        try:
            kind, count, what = file.read_text().split()
        except FileNotFoundError:
            return ""
        if dry_run != (kind == "dry") or int(count) == 0:
            return ""
        file.write_text(f"{kind} {int(count) - 1} {what}")
        return what

    def log_message(self, *_):
        pass


def make_account(directory):
    account = directory / "account"
    account.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=stand-in", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", directory / "key.pem", "-out", account / "ca.crt"],
        check=True, stderr=subprocess.DEVNULL)
    (account / "token").write_text(TOKEN)
    (account / "namespace").write_text(NAMESPACE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(account / "ca.crt", directory / "key.pem")
    return context


if __name__ == "__main__":
    CLUSTER = Cluster(pathlib.Path(sys.argv[1]))
    CONTEXT = make_account(CLUSTER.directory)
    SERVER = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    SERVER.socket = CONTEXT.wrap_socket(SERVER.socket, server_side=True)
    unfinished = CLUSTER.directory / "port.tmp"
    unfinished.write_text(str(SERVER.server_address[1]))
    unfinished.rename(CLUSTER.directory / "port")
    SERVER.serve_forever()
