"""Packages each function's program as a zip with one file, `bootstrap`. The zips are reproducible.

Reads {"folder": the folder of the zips, "programs": {name: path}} on standard input. Prints
{"prefix": digest of all zips, "zips": {name: path}}. An unchanged program is not packaged again.
By default, for the local stack, programs are stripped of debug information and compressed fast.
With "pack": "small" they are not stripped and are compressed well; with "smallest" they are
compressed with zopfli, which takes ten seconds each.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile


def main():
    request = json.load(sys.stdin)
    folder = request["folder"]
    os.makedirs(folder, mode=0o700, exist_ok=True)
    packed = {name: pack(folder, name, path, request.get("pack", "fast")) for name, path in sorted(request["programs"].items())}
    prefix = hashlib.sha256(json.dumps({name: one["digest"] for name, one in packed.items()}).encode()).hexdigest()
    print(json.dumps({"prefix": prefix[:16], "zips": {name: one["zip"] for name, one in packed.items()}}))


def pack(folder, name, program, how):
    source = [identity(program, how), how]
    note = os.path.join(folder, f"{name}.json")
    known = read(note)
    if known.get("source") == source and os.path.exists(known["zip"]):
        return known
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        bootstrap, archive = os.path.join(scratch, "bootstrap"), os.path.join(scratch, "zip")
        if how == "fast":
            strip(program, bootstrap)
        else:
            shutil.copyfile(program, bootstrap)
        write_zip(bootstrap, archive, how)
        with open(archive, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        target = os.path.join(folder, f"{name}-{digest[:16]}.zip")
        os.replace(archive, target)
        new = {"source": source, "digest": digest, "zip": target}
        written = os.path.join(scratch, "note")
        with open(written, "w", encoding="utf-8") as file:
            json.dump(new, file)
        os.replace(written, note)
    if known.get("zip") not in (None, target):
        with contextlib.suppress(FileNotFoundError):  # another process deleted it first
            os.remove(known["zip"])
    return new


def identity(program, how):
    """Identifies a program: by its content, or if packaging is fast, by its path, time and size."""
    if how == "fast":
        status = os.stat(program)
        return [os.path.abspath(program), status.st_mtime_ns, status.st_size]
    with open(program, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def read(note):
    try:
        with open(note, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def strip(program, target):
    """Strips a program to a third of its size. Without a `strip` tool, it is copied unchanged."""
    tool = shutil.which("strip")
    if tool is None or subprocess.run([tool, "-S", "-o", target, program], stderr=subprocess.DEVNULL).returncode != 0:
        shutil.copyfile(program, target)


def write_zip(bootstrap, archive, how):
    if how == "smallest":
        from zopfli import ZipFile  # installed only with the packaging tools
    else:
        from zipfile import ZipFile
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with ZipFile(archive, "w") as archive_file, open(bootstrap, "rb") as file:
        archive_file.writestr(entry, file.read(), compresslevel=1 if how == "fast" else 9)


main()
