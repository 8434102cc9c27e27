"""Starts the AWS emulator that the local stack runs on.

The emulator is ministack, pinned in requirements.txt because this folder changes its internals.
`aws` makes it as strict as AWS's documentation, one module per service (docs/emulator.md lists the
rules). `front` serves the deployed HTTP API under a plain address. `admin` is the small interface
under /_local/ that the local stack and the tests use.

It has two listeners on loopback: the AWS endpoint and the HTTP API. `snapshots` saves its state
within two seconds of a change, and on SIGTERM.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import threading

ACCOUNT = "123456789012"
REGION = "us-east-1"
# Functions inherit this process's environment: the user's AWS configuration must not reach them.
KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "TZ")


def arguments():
    parser = argparse.ArgumentParser(prog="emulator")
    parser.add_argument("--dir", required=True, help="folder of the state, created with mode 0700")
    parser.add_argument("--aws-port", type=int, default=0, help="port of the AWS endpoint; 0 means any free port")
    parser.add_argument("--api-port", type=int, default=0, help="port of the HTTP API; 0 means any free port")
    parser.add_argument("--deployment", default="pipeline-secrets", help="stack whose HTTP API the second port serves")
    parser.add_argument("--functions-endpoint", help="AWS endpoint of the functions, such as a proxy")
    parser.add_argument("--forget", action="store_true", help="do not save the state")
    parser.add_argument("--stop-with-stdin", action="store_true", help="stop when standard input is closed")
    return parser.parse_args()


def listen(port, what):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        sys.exit(f"port {port} ({what}) is already in use")
    listener.listen(256)
    return listener


def set_environment(directory, aws_port, functions_endpoint):
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(
        kept,
        AUTH="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_ENDPOINT_URL=functions_endpoint or f"http://127.0.0.1:{aws_port}",
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(aws_port),
        IOT_MTLS_ENABLED="0",
        LOG_LEVEL="WARNING",
        MINISTACK_ACCOUNT_ID=ACCOUNT,
        MINISTACK_REGION=REGION,
        PERSIST_STATE="0",  # `snapshots` saves the state
        SFTP_ENABLED="0",
        STATE_DIR=os.path.join(directory, "state"),
        TMPDIR=os.path.join(directory, "tmp"),
    )
    for name in ("STATE_DIR", "TMPDIR"):
        os.makedirs(os.environ[name], mode=0o700, exist_ok=True)


def write_ready_file(path, aws_port, api_port):
    content = {
        "pid": os.getpid(),
        "awsEndpoint": f"http://127.0.0.1:{aws_port}",
        "apiEndpoint": f"http://127.0.0.1:{api_port}",
    }
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(path + ".new", path)


def stop_with_stdin(forget):
    while os.read(0, 4096):
        pass
    if forget:  # end immediately: the parent process may be deleting the folder
        end()
    os.kill(os.getpid(), signal.SIGTERM)


def end():
    """Ends this process and those of the functions. The emulator's threads do not end otherwise."""
    from aws import batch_jobs
    from ministack.core import lambda_runtime

    batch_jobs.stop_all()
    lambda_runtime.reset()
    os._exit(0)


def main():
    options = arguments()
    os.umask(0o077)  # the state contains unencrypted values and keys
    directory = os.path.abspath(options.dir)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    aws, api = listen(options.aws_port, "AWS endpoint"), listen(options.api_port, "HTTP API")
    aws_port, api_port = aws.getsockname()[1], api.getsockname()[1]
    set_environment(directory, aws_port, options.functions_endpoint)
    ready_file = os.path.join(directory, "emulator.json")

    # ministack reads the environment when it is imported, so import it now.
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as ministack
    from ministack.core.responses import request_scope

    import admin
    import front
    from aws import batch, batch_jobs, install
    from snapshots import Snapshots

    install()
    snapshots = None if options.forget else Snapshots(os.environ["STATE_DIR"])
    if snapshots:
        snapshots.restore()
        batch_jobs.note_change = snapshots.note_change

    async def app(scope, receive, send):
        send = snapshots.watch(scope, send) if snapshots else send
        if scope["type"] == "lifespan":
            await ministack.app(scope, receive, send)
        elif scope["server"][1] == api_port:
            await front.serve(scope, receive, send, options.deployment)
        elif scope["type"] == "http" and scope["path"].startswith("/_local/"):
            await admin.serve(scope, receive, send, snapshots)
        else:
            await ministack.app(scope, receive, send)

    async def with_lifespan(scope, receive, send):
        """Writes the ready file after the start. Saves changes until the stop, and once more then."""
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        saving = snapshots and asyncio.create_task(snapshots.save_changes())

        async def receive_and_save():
            message = await receive()
            if saving and message["type"] == "lifespan.shutdown":
                await snapshots.finish()
            return message

        async def send_and_report(message):
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                with request_scope(ACCOUNT, REGION):
                    batch.resume()
                write_ready_file(ready_file, aws_port, api_port)

        await app(scope, receive_and_save, send_and_report)

    if options.stop_with_stdin:
        threading.Thread(target=stop_with_stdin, args=[options.forget], daemon=True).start()
    else:
        try:
            os.setsid()  # keep running after the terminal closes
        except PermissionError:
            pass  # already the leader of its process group
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    config = Config()
    config.bind = [f"fd://{aws.detach()}", f"fd://{api.detach()}"]
    config.graceful_timeout = 1
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    try:
        asyncio.run(serve(with_lifespan, config))
    finally:
        if os.path.exists(ready_file):
            os.remove(ready_file)
        end()


main()
