"""Checks a software bill of materials against the CycloneDX schema. Usage: sbom.py FILE"""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        lines = str(error).splitlines()  # the schema is between the relevant lines
        where = [line for line in lines if line.startswith("On instance")]
        sys.exit(f"error: {sys.argv[1]} is not CycloneDX 1.6: {' '.join([lines[0], *where])}")
    print(f"{sys.argv[1]} is CycloneDX 1.6")


main()
