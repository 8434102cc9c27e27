"""The service, as a head job on Kubernetes sees it: launch, claim, heartbeat and end."""
import base64
import http.server
import json
import re
import threading
from urllib.parse import urlsplit


class Service:
    """Answers on loopback. `values` are the secrets of every run, and `ids` the IDs of the next runs."""

    def __init__(self):
        self.values, self.ids, self.ends, self.claims, self.count = {}, [], {}, [], 0
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                text = service.answer(urlsplit(self.path).path, body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path, body):
        if path == "/launches":
            self.count += 1
            run = self.ids.pop(0) if self.ids else f"Ab{self.count:012}"
            return f"workflowId={run}\nstate=pending\nrunToken=run-{run}\nclaimToken=claim-{run}\n"
        run, action = re.fullmatch(r"/runs/([0-9A-Za-z]+)/(\w+)", path).groups()
        if action == "claim":
            self.claims.append(run)
            store = [{"name": name, "value": value} for name, value in self.values.items()]
            data = {name: base64.b64encode(value.encode()).decode() for name, value in self.values.items()}
            return f"store={json.dumps(store)}\nsecretData={json.dumps(data)}\n"
        if action == "end":
            self.ends[run] = json.loads(body)
        return f"workflowId={run}\nstate={'ended' if run in self.ends else 'running'}\n"
