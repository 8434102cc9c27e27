"""Records what other programs read from .env files, in cases.jsonl.

The tests of the import (shared/http/src/wire/imports/dotenv/) compare it with the import. Needs Go,
Node.js 20.12 or later, and Python 3.10 or later:

  npm install && pip install -r requirements.txt && python3 record.py
"""

import io
import json
import logging
import random
import subprocess
import tempfile
from pathlib import Path

from dotenv import dotenv_values

HERE = Path(__file__).resolve().parent
RANDOM_CASES = 420

# Every value below stands after each of these.
STARTS = ["AA=", "export AA="]
VALUES = [
    "", " ", "1", "one two", "one  two", "a\tb", " 1", "1 ", "\t1", "1\t", "p#ss", "a#", "#a", " #a", "      # optional",
    "abc123   # rotate yearly", "abc\t# c", "a #", "''", '""', '"a # b"', "'a # b'", "'a'#c", "'a' # c", "\"a\" # c",
    "'a' # don't", '"a" # "c"', "'a' ", ' "a"', "\t'a'", "'a'b", '"a"b', "'a' b", "'a''b'", "'a' 'b'", '"a""b"', "don't",
    "it's # a", 'a"b"', "a'", 'a"', "'", '"', "'a", '"a', "a\\nb", '"a\\nb"', "'a\\nb'", '"a\\r\\nb"', "'a\\r\\nb'",
    '"a\\tb"', '"a\\qb"', '"a\\\\b"', '"a\\"b"', "'a\\'b'", "'a\\\\b'", "'a\\b'", "'a\\'", "a\\", "C:\\dir", "C:\\new", "\\\\",
    "a\\$b", '"a\\$b"', "'a\\$b'", '"a\nb"', "'a\nb'", '"a\r\nb"', "'a\r\nb'", '"a\n\nb"', '"\n"', "'a\n#b'", '"a\nBB=2\n"',
    '"a\nb" # c', '"a\n b \n"', "'a\nb'c", "`abc`", "`a", "a`b`", '"a`b`"', "'a`b'", "$'a\\nb'", "$V", "a$V", "${V}", "a$",
    "$$", "$1", "a$b", '"$V"', '"${V}"', '"a$"', "'$V'", "'${V}'", "'$'", "'$(id)'", "$(id)", '"$(id)"', "${V:-x}", "=b",
    "b=c", "é", "'é'", "\u00a0x", "x\u00a0", "'\u00a0'", "a\u00a0b", "x\u2028y", "'x\u2028y'", "x\u0085y", "x\x0c", "x\x0b", "x\0",
    "a,b;c|d&e<f>g(h)", "a*?[]{}~!%^@-+", '{"a":1}', "'{\"a\":1}'", '"{\'a\':1}"', "-----BEGIN X-----\\nQUJD\\n",
    "true", "null", "0", "1;BB=2", "1 export BB=2", "https://u:p@h:1/x?a=b&c=d", "\ufeffx", "x\ufeff", "'a\"b'", "\"a'b\"",
]
FILES = [
    "\ufeffAA=1", "\ufeff# c\nAA=1", "# c\r\nAA=1\r\n", "AA=1\r\nBB='2'\r\n", "AA=1\rBB=2", "AA=1\r", "AA=1\n\n\nBB=2", " AA=1",
    "\tAA=1", "AA =1", "AA = 1", "AA\t=1", "AA= 1", "export\tAA=1", "export  AA=1", "export AA =1", " export AA=1", "export=1",
    "export =1", "exports AA=1", "AA", "export AA", "AA: v", "AA: v=1", "AA:v", '{"AA":"b"}', '{\n  "AA": "b=c"\n}', "A-B=1",
    "A.B=1", "1A=1", "=1", "'AA'=1", '"AA"=1', "AA=1\nAA=2", "  # c\nAA=1", "\t# c\nAA=1", " \t\nAA=1", "# don't\nAA='1'",
    '# "c\nAA="1"', "# AA=2\nAA=1", "AA=1\n# BB=2", "AA=1\n'", "AA=1\nnot an assignment", "AA=\\\nBB=2", "AA=x\\\nBB=2",
    "AA='1\nBB=2", 'AA="1\nBB="2"', "AA=1\n BB=2", "AA=\"1\"\nBB='2'\nCC=3\n", "set AA=1", "declare -x AA=1", "AA+=1", "AA=1\0",
    "AA=it's\nBB=it's", "AA=a\"\nBB=b\"", "AA='a' # c\nBB=\"b\" # d", "AA=a\x1fb", "AA==\n", "AA=1\n=2", "#", "", "AA=`1\nBB=2`",
]
PIECES = [
    "a", "b c", "#", " #", "'", '"', "\\", "\\n", "\n", "\r\n", "$", "${V}", "$(x)", "`", "=", " ", "\t", "é", ":", "-", "{", "}",
]
WHOLE = ["x1", "a b", "'a b'", '"a b"', "'$x # y'", '"a\\nb"', '"a\nb"', "'a\nb'", "'{\"a\": 1}'", "\"it's\"", "a=b", "a:b"]


def random_file(rng):
    lines = []
    for name in rng.sample(["AA", "BB", "CC"], rng.choice([1, 1, 2, 3])):
        start = rng.choice(["", "", "", "", "export ", " ", "# c\n", "\n", "\t"])
        inner = "".join(rng.choice(PIECES) for _ in range(rng.choice([1, 2, 3, 4])))
        quote = rng.choice(["", "", "'", '"'])
        value = rng.choice(WHOLE) if rng.random() < 0.5 else f"{quote}{inner}{quote}"
        end = rng.choice(["", "", "", "", " # c", " ", "\t", "#c"])
        lines.append(f"{start}{name}{rng.choice(['=', '=', '=', '=', ' = '])}{value}{end}")
    return rng.choice(["\n", "\n", "\n", "\r\n"]).join(lines) + rng.choice(["", "\n"])


def read(command, texts):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    run = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=HERE, check=True)
    return [json.loads(line) for line in run.stdout.split("\n") if line]


def python(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, ".env")
        path.write_bytes(text.encode())
        return dict(dotenv_values(path))


def main():
    logging.disable()
    rng = random.Random(1)
    texts = [start + value + "\n" for start in STARTS[:1] for value in VALUES]
    texts += [STARTS[1] + value for value in rng.sample(VALUES, 20)] + FILES
    texts += [random_file(rng) for _ in range(RANDOM_CASES)]
    texts = list(dict.fromkeys(texts))
    table = io.StringIO()
    for text, docker, node in zip(texts, read(["go", "run", "."], texts), read(["node", "parse.mjs"], texts)):
        case = {"text": text, **docker, **node, "python": python(text)}
        table.write(json.dumps(case) + "\n")
    (HERE / "cases.jsonl").write_text(table.getvalue())


main()
