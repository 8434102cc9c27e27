"""The deployed HTTP API under a plain address, for clients that cannot set the Host header.

A stack's HTTP API has the stack's name. Requests go directly to the emulator's API Gateway, so that
no path of ours conflicts with a path of the emulator.
"""

import base64
import os
from urllib.parse import parse_qs

from http_io import answer, read_body, read_headers
from ministack.services import apigateway


async def serve(scope, receive, send, deployment):
    if scope["type"] != "http":
        return
    api_id = _api_of(deployment)
    if api_id is None:
        await answer(send, 503, {"message": f"stack {deployment} is not deployed"})
        return
    body = await read_body(receive)
    raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "replace")
    query = scope.get("query_string", b"").decode("utf-8", "replace")
    status, headers, content = await apigateway.handle_execute(
        api_id,
        "$default",
        apigateway.decode_http_api_path(raw_path),
        scope["method"],
        read_headers(scope),
        body,
        parse_qs(query, keep_blank_values=True),
        raw_query_string=query,
    )
    headers.setdefault("apigw-requestid", base64.b64encode(os.urandom(11)).decode())
    await answer(send, status, content, headers, head=scope["method"] == "HEAD")


def _api_of(deployment):
    for api in apigateway._apis._data.values():
        if api.get("name") == deployment and api.get("protocolType") == "HTTP":
            return api["apiId"]
    return None
