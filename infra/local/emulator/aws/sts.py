"""STS: who can assume a role. The shapes of the API reference check the rest.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

import contextvars
import json

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id

# The actions of this request that no policy of the caller allows or denies.
_by_trust_alone = contextvars.ContextVar("by_trust_alone", default=frozenset())


def install():
    _ask_for_both_rights()
    _let_trust_policies_decide_in_their_own_account()


def _ask_for_both_rights():
    """A caller that passes session tags also needs `sts:TagSession`. ministack asks only the trust policy.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
    """
    known = iam_evaluator.enforce

    def enforce(key, action, service, region, resource_arn="*", service_context=None):
        options = {"resource_arn": resource_arn, "service_context": service_context}
        if action != "sts:AssumeRole":
            return known(key, action, service, region, **options)
        tagged = any(name.lower().startswith("aws:requesttag/") for name in service_context or {})
        own = f":iam::{get_account_id()}:role/" in resource_arn
        by_trust = set()
        for needed in ("sts:AssumeRole", "sts:TagSession")[: 1 + tagged]:
            denied = known(key, needed, service, region, **options)
            if denied is None:
                continue
            if not own or getattr(denied, "decision", None) != "ImplicitDeny":
                return denied
            by_trust.add(needed)
        _by_trust_alone.set(frozenset(by_trust))
        return None

    iam_evaluator.enforce = enforce


def _let_trust_policies_decide_in_their_own_account():
    """A trust policy that names a caller of its account is enough. One that names the account is not.

    ministack demands a permission of the caller as well.
    """
    known = iam_evaluator.evaluate_trust_policy

    def evaluate(document, caller, context=None):
        if context is not None and context.action in _by_trust_alone.get():
            document = json.loads(document) if isinstance(document, str) else document
            statements = document.get("Statement") or []
            statements = statements if isinstance(statements, list) else [statements]
            names = lambda one: iam_evaluator._names_caller(one.get("Principal") or {}, caller)
            decisive = [one for one in statements if one.get("Effect") == "Deny" or names(one)]
            document = {**document, "Statement": decisive}
        return known(document, caller, context)

    iam_evaluator.evaluate_trust_policy = evaluate
