"""Packs each function's program as a zip that holds `bootstrap`, the same bytes for the same program.

Reads {"folder": where zips are kept, "programs": {name: path}} on standard input; prints {"prefix": digest of all of them,
"zips": {name: path}}. A program that did not change since is not packed again. Programs of the local stack lose
their debug information and are packed in a hurry; with "pack": "small" they stay as they are and are packed well, with
"smallest" as well as zopfli does it, in ten seconds each.
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
    order = json.load(sys.stdin)
    folder = order["folder"]
    os.makedirs(folder, mode=0o700, exist_ok=True)
    packed = {name: pack(folder, name, path, order.get("pack", "fast")) for name, path in sorted(order["programs"].items())}
    prefix = hashlib.sha256(json.dumps({name: one["digest"] for name, one in packed.items()}).encode()).hexdigest()
    print(json.dumps({"prefix": prefix[:16], "zips": {name: one["zip"] for name, one in packed.items()}}))


def pack(folder, name, program, how):
    seen = [what(program, how), how]
    note = os.path.join(folder, f"{name}.json")
    known = read(note)
    if known.get("seen") == seen and os.path.exists(known["zip"]):
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
        new = {"seen": seen, "digest": digest, "zip": target}
        written = os.path.join(scratch, "note")
        with open(written, "w", encoding="utf-8") as file:
            json.dump(new, file)
        os.replace(written, note)
    if known.get("zip") not in (None, target):
        with contextlib.suppress(FileNotFoundError):  # another process was first
            os.remove(known["zip"])
    return new


def what(program, how):
    """Which program it is: by its content where packing takes long, and where it is quick by what a look costs least."""
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
    """A third of the size. Whoever links Rust programs has a `strip`; without one they are packed as they are."""
    tool = shutil.which("strip")
    if tool is None or subprocess.run([tool, "-S", "-o", target, program], stderr=subprocess.DEVNULL).returncode != 0:
        shutil.copyfile(program, target)


def write_zip(bootstrap, archive, how):
    if how == "smallest":
        from zopfli import ZipFile  # only the packaging tools have it
    else:
        from zipfile import ZipFile
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with ZipFile(archive, "w") as made, open(bootstrap, "rb") as file:
        made.writestr(entry, file.read(), compresslevel=1 if how == "fast" else 9)


main()
