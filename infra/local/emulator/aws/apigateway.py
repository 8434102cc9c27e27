"""API Gateway: what an HTTP API lets through to its functions."""

import json

from ministack.services import apigateway

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
LONGEST_HEAD = 10_240  # bytes of the request line and the values of headers
LONGEST_PAYLOAD = 10 * 1024 * 1024


def install():
    known = apigateway.handle_execute

    async def handle_execute(api, stage, path, method, headers, body, query, raw_query_string=None):
        line = f"{method} {path}?{raw_query_string or ''} HTTP/1.1"
        if len(line.encode()) + sum(len(str(value).encode()) for value in headers.values()) > LONGEST_HEAD:
            return _message(431, "Request Header Fields Too Large")
        if len(body or b"") > LONGEST_PAYLOAD:
            return _message(413, "Request Entity Too Large")
        return await known(api, stage, path, method, headers, body, query, raw_query_string=raw_query_string)

    apigateway.handle_execute = handle_execute


def _message(status, text):
    return status, {"Content-Type": "application/json"}, json.dumps({"message": text}).encode()
