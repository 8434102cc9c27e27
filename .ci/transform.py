"""Prints a SAM template as CloudFormation gets it, functions written out: transform.py TEMPLATE > JSON.

cfn-lint looks at a SAM template's own resources only as far as SAM's schema goes; what they become, it checks fully.
"""

import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")  # boto3 wants one; nothing is called

from cfnlint.decode import cfn_yaml  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402


class NoManagedPolicies:
    """The template names none, so nobody has to be asked for theirs."""

    def load(self):
        return {}


json.dump(transform(cfn_yaml.load(sys.argv[1]), {}, NoManagedPolicies()), sys.stdout, indent=1)
