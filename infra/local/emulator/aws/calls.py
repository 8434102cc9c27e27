"""Applies rules to the calls of clients, the resources of CloudFormation and policy conditions.

Calls are authorized before they are checked: a caller without permission gets AccessDenied for any
input.
"""

import functools
import json
from urllib.parse import parse_qsl

from ministack import app as ministack
from ministack.core.responses import error_response_json, error_response_xml
from ministack.services.cloudformation import provisioners

from . import shapes


class Refused(Exception):
    """AWS refuses the call with this error."""

    def __init__(self, code, message, status=400):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


class Call:
    """One call: the operation, its parsed input, and the raw request."""

    def __init__(self, service, method, path, headers, body, query):
        self.service, self.method, self.path = service, method, path
        self.headers, self.body, self.query = headers, body or b"", query
        self.data = parsed(self.body)
        self.operation = shapes.operation(service, method, path, headers.get("x-amz-target", ""))
        if self.operation is None and not self.data:  # the query protocol
            form = dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
            self.operation = form.pop("Action", None) or (query.get("Action") or [None])[0]
            self.data = form


_checks = {}
_answers = {}
_contexts = {}


def check(service, rule):
    """Adds a rule. `rule(call)` raises `Refused` if AWS refuses the call."""
    _checks.setdefault(service, []).append(rule)


def answer(service, operation, handler):
    """Adds a handler. `handler(call)` returns an answer, or None to let the emulator answer.

    It raises `Refused` if AWS refuses the call.
    """
    _answers[service, operation] = handler


def context(service, keys):
    """Adds condition keys. `keys(data)` returns those of a call, as policies name them."""
    _contexts[service] = keys


def resource(kind, rule):
    """Adds a rule. `rule(properties)` raises `Refused` before CloudFormation creates or updates."""
    handlers = provisioners._RESOURCE_HANDLERS[kind]
    known_create, known_update = handlers["create"], handlers.get("update")

    @functools.wraps(known_create)
    def create(logical_id, properties, *rest):
        rule(properties)
        return known_create(logical_id, properties, *rest)

    @functools.wraps(known_create)
    def update(physical_id, old, new, *rest):
        rule(new)
        return known_update(physical_id, old, new, *rest)

    handlers["create"] = create
    if known_update:
        handlers["update"] = update


def conditions(service, body):
    """The condition keys that this service adds to a call."""
    return _contexts[service](parsed(body)) if service in _contexts else {}


def install():
    for service in {*_checks, *shapes.SERVICES, *(service for service, _ in _answers)}:
        ministack.SERVICE_HANDLERS[service] = _checked(service, ministack.SERVICE_HANDLERS[service])


def _checked(service, known):
    async def handler(method, path, headers, body, query):
        call = Call(service, method, path, headers, body, query)
        try:
            shapes.check(service, call.operation, call.data, Refused)
            for rule in _checks.get(service, ()):
                rule(call)
            given = _answers.get((service, call.operation))
            answered = given and given(call)
        except Refused as refused:
            return _error(service, refused)
        return answered or await known(method, path, headers, body, query)

    return handler


def _error(service, refused):
    if shapes.speaks_xml(service):
        return error_response_xml(refused.code, refused.message, refused.status)
    return error_response_json(refused.code, refused.message, refused.status)


def parsed(body):
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
