"""Saves the state of all services as one snapshot, and restores it after a stop or a kill.

A change is saved within `INTERVAL` seconds, plus the time of one save. A snapshot is taken on the
event loop, which also handles every call of the AWS API. No call is half done in a snapshot, and
all services are from the same moment. Invocations of functions are not part of it: those that run
during a kill are lost.

No snapshot is taken while CloudFormation deploys: a half-deployed stack could not be updated.

Each file is written under another name, synced and then renamed, so that a kill leaves the earlier
file. The snapshot before the newest one is kept in case the newest is damaged. A snapshot has a
header with its length and digest, a line feed, and the state as JSON. The code of functions is in
separate files, named by their digests.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import sys
import time

from ministack import app as ministack
from ministack.core import persistence
from ministack.services import cloudformation, lambda_svc

INTERVAL = 2  # seconds between two saves
FORMAT = 1
LONGEST_DEPLOYMENT = 30  # seconds that a save before a stop waits for CloudFormation
# Other threads add log lines and expire items. A dictionary that grows meanwhile fails the capture.
ATTEMPTS = 5

log = logging.getLogger("snapshots")


class Damaged(Exception):
    """A snapshot that is missing, incomplete or changed."""


class Snapshots:
    """The snapshots in a folder."""

    def __init__(self, folder):
        self._folder = folder
        self._newest, self._previous = (os.path.join(folder, name) for name in ("snapshot", "snapshot.previous"))
        self._code_folder = os.path.join(folder, "lambda-blobs")
        # The code of all functions, in this capture and in the one before it: digest and code, by
        # the identity of the code.
        self._code, self._known_code = {}, {}
        self._kept = [set(), set()]  # digests of the code in the newest and in the previous snapshot
        self._changes = self._saved_changes = 0
        self._digest = self._saved_at = self._error = self._took = self._fallback = None
        self._lock = asyncio.Lock()
        lambda_svc._write_code_blob = self._refer_to_code
        lambda_svc._prune_orphan_code_blobs = lambda referenced: None  # `_write` does, after the rename

    # ---- Restore --------------------------------------------------------------------------------

    def restore(self):
        """Restores the newest snapshot, or the previous one if the newest is damaged.

        Exits with a message if both are damaged, because a start with an empty state would
        overwrite them.
        """
        os.makedirs(self._code_folder, mode=0o700, exist_ok=True)
        if os.path.exists(os.path.join(self._folder, "dynamodb.json")):
            sys.exit(f"an earlier version saved the state in {self._folder}, and this version cannot read it. {_purge()}")
        if not os.path.exists(self._newest) and not os.path.exists(self._previous):
            return
        try:
            header, states = self._read(self._newest)
        except Damaged as newest:
            try:
                header, states = self._read(self._previous)
            except Damaged as previous:
                sys.exit(f"the saved state is damaged: {newest}; {previous}. {_purge()}")
            self._fallback = str(newest)
            self._set_aside_newest()
        for name, saved in states.items():
            self._restore_service(name, saved)
        self._saved_at, self._digest = header["savedAt"], header["sha256"]
        self._kept = [set(header["code"]), set(header["code"])]

    def _read(self, path):
        try:
            with open(path, "rb") as file:
                line, _, content = file.read().partition(b"\n")
            header = json.loads(line)
            wanted = header["format"], header["bytes"], header["sha256"], header["code"], header["savedAt"]
        except OSError as error:
            raise Damaged(f"{path}: {error.strerror}") from None
        except (ValueError, LookupError, TypeError):
            raise Damaged(f"{path}: the header is malformed") from None
        if wanted[0] != FORMAT:
            sys.exit(f"{path} has format {wanted[0]}, and this version reads format {FORMAT}. {_purge()}")
        if len(content) != wanted[1]:
            raise Damaged(f"{path}: {len(content)} of {wanted[1]} bytes are present")
        if hashlib.sha256(content).hexdigest() != wanted[2]:
            raise Damaged(f"{path}: the digest does not match")
        for digest in wanted[3]:
            self._check_code(path, digest)
        return header, json.loads(content, object_hook=persistence._json_object_hook)

    def _check_code(self, path, digest):
        try:
            with open(self._code_path(digest), "rb") as file:
                matches = hashlib.sha256(file.read()).hexdigest() == digest
        except OSError:
            matches = False
        if not matches:
            raise Damaged(f"{path}: the code of a function, {self._code_path(digest)}, is missing or damaged")

    def _set_aside_newest(self):
        """Keeps the damaged snapshot for inspection, and makes the previous one the newest."""
        if os.path.exists(self._newest):
            os.replace(self._newest, os.path.join(self._folder, "snapshot.damaged"))
        _link(self._previous, self._newest)
        _sync_folder(self._folder)

    def _restore_service(self, name, saved):
        try:
            if saved["version"] != persistence._state_format_version(name):
                raise ValueError(f"its version is {saved['version']}")
            ministack._get_module(ministack._state_map[name]).load_persisted_state(saved["state"])
        except Exception as error:  # any error of the emulator's modules
            log.exception("%s cannot be restored", name)
            sys.exit(f"the state of {name} in {self._newest} cannot be restored: {error!r}. {_purge()}")

    # ---- Save -----------------------------------------------------------------------------------

    def watch(self, scope, send):
        """Notes a change when the answer of a call is sent: the call has changed the state by then."""
        if scope["type"] != "http" or (scope["method"] == "GET" and scope["path"].startswith("/_local/")):
            return send

        async def send_and_note(message):
            if message["type"] == "http.response.start":
                self.note_change()
            await send(message)

        return send_and_note

    def note_change(self):
        self._changes += 1

    async def save_changes(self):
        """Saves what has changed, until the event loop ends."""
        while True:
            await asyncio.sleep(INTERVAL)
            if self._changes != self._saved_changes and not _is_deploying():
                await self.save()

    async def save(self):
        """Saves now. Returns why this failed, or None. A failure leaves the earlier snapshot."""
        async with self._lock:
            if not await _deployments_end():
                return "CloudFormation is deploying a stack"
            started, changes, now = time.monotonic(), self._changes, time.time()
            try:
                content, code = self._capture()
                digest = hashlib.sha256(content).hexdigest()
                if digest != self._digest:
                    header = {"format": FORMAT, "bytes": len(content), "sha256": digest, "code": sorted(code), "savedAt": now}
                    await asyncio.to_thread(self._write, header, content, code)
            except Exception as error:  # saving goes on: the next save can succeed
                log.exception("the state was not saved")
                self._error = f"{error!r}"
            else:
                self._digest, self._saved_at, self._saved_changes, self._error = digest, now, changes, None
                self._took = time.monotonic() - started
            return self._error

    async def finish(self):
        """Saves before a stop."""
        if reason := await self.save():
            log.error("the last changes were not saved: %s", reason)

    def status(self):
        """The times are seconds since 1970, or of duration."""
        return {
            "savedAt": self._saved_at,
            "unsavedChanges": self._changes != self._saved_changes,
            "error": self._error,
            "took": self._took,
            "fallback": self._fallback,
        }

    def _capture(self):
        """Returns the state as JSON, and the code of the functions by its digest."""
        for attempt in range(ATTEMPTS):
            self._known_code, self._code = self._code, {}
            try:
                content = json.dumps(_states(), default=persistence._json_default, separators=(",", ":"))
                return content.encode(), dict(self._code.values())
            except RuntimeError:
                if attempt + 1 == ATTEMPTS:
                    raise

    def _refer_to_code(self, code):
        """Returns the digest of a function's code. Unchanged code is not digested again."""
        digest, _ = self._known_code.get(id(code)) or (hashlib.sha256(code).hexdigest(), code)
        self._code[id(code)] = digest, code
        return digest

    def _write(self, header, content, code):
        for digest, zipped in code.items():
            if not os.path.exists(self._code_path(digest)):
                _write_file(self._code_path(digest), zipped)
        _sync_folder(self._code_folder)
        if os.path.exists(self._newest):
            _link(self._newest, self._previous)
        _write_file(self._newest, json.dumps(header).encode() + b"\n" + content)
        _sync_folder(self._folder)
        self._kept = [set(code), self._kept[0]]
        for name in os.listdir(self._code_folder):
            if name.removesuffix(".zip") not in self._kept[0] | self._kept[1]:
                os.remove(os.path.join(self._code_folder, name))

    def _code_path(self, digest):
        return os.path.join(self._code_folder, f"{digest}.zip")


def _states():
    getters = ministack._build_persistence_save_dict()
    states = {name: get_state() for name, get_state in getters.items()}
    return {
        name: {"version": persistence._state_format_version(name), "state": state}
        for name, state in states.items()
        if state is not None
    }


def _is_deploying():
    statuses = [stack.get("StackStatus", "") for stack in list(cloudformation._stacks._data.values())]
    # REVIEW_IN_PROGRESS: a change set exists, and nothing is deployed yet.
    return any(status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS" for status in statuses)


async def _deployments_end():
    """Waits for the deployments that run. Returns whether they have ended."""
    deadline = time.monotonic() + LONGEST_DEPLOYMENT
    while deploying := _is_deploying():
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.05)
    return not deploying


def _write_file(path, content):
    new = path + ".new"
    with open(new, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
        file.flush()
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync leaves the content in the cache of the disk
            fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)
        else:
            os.fsync(file.fileno())
    os.replace(new, path)


def _link(path, other):
    """Gives a file another name. The other file is replaced at once."""
    new = other + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.remove(new)
    os.link(path, new)
    os.replace(new, other)


def _sync_folder(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _purge():
    return "To delete it and start again, run: cargo local down --purge"
