"""Expands `infra/template.yaml` as CloudFormation does, without AWS, and prints it as JSON.

The expanded template is what is deployed. Checks of the original template miss half of the faults.
"""

import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402


class NoManagedPolicies:
    """No function uses a managed policy, so any lookup must fail."""

    def load(self):
        return {}


def expanded(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    return transform(template, {}, NoManagedPolicies())


if __name__ == "__main__":
    json.dump(expanded(sys.argv[1]), sys.stdout, indent=1)
