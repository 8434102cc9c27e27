"""Lengths, ranges, patterns and permitted values of every member, as in the API references.

The API references and the SDKs are generated from the same models. The AWS CLI contains these
models, and this module reads them. DynamoDB is left out: the emulator itself checks its calls, and
every request waits for them. An example of such a page is
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html.
"""

import base64
import functools
import re

from botocore.loaders import Loader
from botocore.model import ServiceModel

# The error code with which a service refuses input that does not match the model.
SERVICES = {
    "batch": "ClientException",
    "events": "ValidationException",
    "iam": "ValidationError",
    "kms": "ValidationException",
    "lambda": "InvalidParameterValueException",
    "secretsmanager": "ValidationException",
    "sts": "ValidationError",
}
XML = ("cloudformation", "iam", "sts")


def speaks_xml(service):
    return service in XML


@functools.cache
def model(service):
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@functools.cache
def _routes(service):
    """Method and path of each operation of a REST service."""
    found = []
    for name in model(service).operation_names:
        http = model(service).operation_model(name).http
        uri = http["requestUri"].split("?")[0]
        one = ".+" if uri.endswith("{resourceArn}") else "[^/]+"  # the path is decoded
        parts = re.split(r"\{[^}]+\}", uri)
        found.append((http["method"], re.compile(one.join(map(re.escape, parts)) + "/?"), name))
    return found


def operation(service, method, path, target):
    """The operation of a request, or None if method, path and target do not determine it."""
    if target:
        return target.rsplit(".", 1)[-1]
    if service in ("batch", "lambda"):
        return next((name for verb, route, name in _routes(service) if verb == method and route.fullmatch(path)), None)
    return None


def check(service, name, data, refused):
    """Raises `refused(code, message)` if the input of an operation does not match the model."""
    if service not in SERVICES or name not in model(service).operation_names:
        return
    shape = model(service).operation_model(name).input_shape
    if shape is None:
        return
    wrong = list(_structure(shape, data, "", _in_body))
    if wrong:
        raise refused(SERVICES[service], f"{len(wrong)} validation error detected: {'; '.join(wrong[:3])}")


def _in_body(shape):
    return "location" not in shape.serialization


def _anywhere(_):
    return True


def _structure(shape, data, where, taken):
    for name in shape.required_members:
        if name not in data and taken(shape.members[name]) and not _flattened(data, name):
            yield f"Value null at '{where}{name}' failed to satisfy constraint: Member must not be null"
    for name, value in data.items():
        member = shape.members.get(name)
        if member is not None and value is not None and taken(member):
            yield from _value(member, value, f"{where}{name}")


def _flattened(data, name):
    """In the query protocol, a list or a map is spread over names such as `Tags.member.1`."""
    return any(isinstance(key, str) and key.startswith(f"{name}.") for key in data)


def _value(shape, value, where):
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        yield from _structure(shape, value, f"{where}.", _anywhere)
    elif kind == "list" and isinstance(value, list):
        yield from _size(shape, len(value), where)
        for index, one in enumerate(value):
            yield from _value(shape.member, one, f"{where}.{index + 1}.member")
    elif kind == "map" and isinstance(value, dict):
        yield from _size(shape, len(value), where)
        for key, one in value.items():
            yield from _value(shape.key, key, f"{where}.key")
            yield from _value(shape.value, one, f"{where}.{key}")
    elif kind == "string" and isinstance(value, str):
        yield from _text(shape, value, where)
    elif kind == "blob" and isinstance(value, str):
        yield from _size(shape, len(base64.b64decode(value + "==", validate=False)), where)
    elif kind in ("integer", "long", "float", "double"):
        yield from _number(shape, value, where)


def _text(shape, value, where):
    yield from _size(shape, len(value), where)
    if shape.enum and value not in shape.enum:
        yield f"Value at '{where}' failed to satisfy constraint: Member must satisfy enum value set"
    pattern = _pattern(shape.metadata.get("pattern"))
    if pattern and not pattern.fullmatch(value):
        yield f"Value at '{where}' failed to satisfy constraint: Member must satisfy its regular expression pattern"


@functools.cache
def _pattern(text):
    """Compiles a Java pattern, or returns None if Python cannot.

    A pattern that Python cannot compile and that matters has a separate rule.
    """
    try:
        return re.compile(text, re.DOTALL) if text else None
    except re.error:
        return None


def _number(shape, value, where):
    try:
        number = float(value)
    except (TypeError, ValueError):
        return
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and number < low) or (high is not None and number > high):
        yield f"Value at '{where}' failed to satisfy constraint: Member must have value from {low} to {high}"


def _size(shape, size, where):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield f"Value at '{where}' failed to satisfy constraint: Member must have length from {low} to {high}"
