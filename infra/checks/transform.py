"""Expands `infra/template.yaml` as CloudFormation does, without AWS: reads the template, prints JSON.

The expansion is what is deployed, and what checkers must look at: before it, half of the faults do not show.
"""

import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402


class NoManagedPolicies:
    """No function uses one: a lookup would be a fault."""

    def load(self):
        return {}


def expanded(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    return transform(template, {}, NoManagedPolicies())


if __name__ == "__main__":
    json.dump(expanded(sys.argv[1]), sys.stdout, indent=1)
