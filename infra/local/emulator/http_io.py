"""Reads requests and writes responses over ASGI."""

import json


def read_headers(scope):
    """Header names in lower case. Repeated headers are joined with commas, as in API Gateway.

    https://www.rfc-editor.org/rfc/rfc9110#section-5.2
    """
    headers = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def read_body(receive):
    """The whole body, or the part that a client sent before it disconnected."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def answer(send, status, content, headers=None, head=False):
    """Sends a response. Mappings and lists are sent as JSON. 204 and 304 have no body or type."""
    if isinstance(content, (dict, list)):
        content, headers = json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})}
    empty = status in (204, 304)
    skipped = {"content-length", "content-type"} if empty else {"content-length"}
    fields = [
        (name.lower().encode("latin-1"), str(one).encode("latin-1"))
        for name, value in (headers or {}).items()
        if name.lower() not in skipped
        for one in (value if isinstance(value, (list, tuple)) else [value])
    ]
    if not empty:
        fields.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if empty or head else content})
