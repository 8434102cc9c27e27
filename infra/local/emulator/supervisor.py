"""Runs the command of an AWS Batch job as a container would be run.

The first line of standard input is a JSON list of the command and its environment, so that this
process does not share the environment. The end of standard input kills the job at once: the
emulator holds the other end, so that no job outlives the emulator. SIGTERM stops the job: the
command gets SIGTERM, and SIGKILL after 30 seconds. When the command has ended, its other processes
are killed, on Linux also those in other sessions.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time

# https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
STOP_TIMEOUT = 30  # seconds
SET_CHILD_SUBREAPER = 36  # prctl(2)
NOT_FOUND = 127  # as in a shell


def main():
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writer)
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the emulator may ignore it, and children inherit that
    line = b""
    while not line.endswith(b"\n"):
        if not (part := os.read(0, 65_536)):
            return NOT_FOUND
        line += part
    command, environment = json.loads(line)
    try:
        job = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    except (OSError, ValueError) as error:
        print(f"{command[0]}: {getattr(error, 'strerror', error)}", file=sys.stderr)
        return NOT_FOUND
    deadline = None
    while job.poll() is None:
        if stopped and deadline is None:
            job.terminate()
            deadline = time.monotonic() + STOP_TIMEOUT
        left = None if deadline is None else max(0, deadline - time.monotonic())
        ready, _, _ = select.select([0, reader], [], [], left)
        if reader in ready:
            os.read(reader, 4096)
        if 0 in ready or (deadline and time.monotonic() >= deadline):
            break
    kill_all(job)
    return job.returncode if job.returncode >= 0 else 128 - job.returncode


def kill_all(job):
    try:
        os.killpg(job.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    job.wait()
    # The children of a process that ends become children of this process.
    while children := _children():
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def _children():
    found = []
    for name in filter(str.isdigit, os.listdir("/proc") if sys.platform == "linux" else []):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parent = file.read().rpartition(")")[2].split()[1]  # proc_pid_stat(5)
        except OSError:
            continue
        if int(parent) == os.getpid():
            found.append(int(name))
    return found


sys.exit(main())
