"""API Gateway: which requests an HTTP API passes to its functions, and the settings of a stage."""

import json
import time

from ministack.core import responses
from ministack.services import apigateway, lambda_svc
from ministack.services.cloudformation import provisioners

from .iam import allows_service

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
LONGEST_HEAD = 10_240  # bytes of the request line and the header values
LONGEST_PAYLOAD = 10 * 1024 * 1024


PRINCIPAL = "apigateway.amazonaws.com"


def install():
    _check_requests()
    _enforce_resource_policies()
    _show_route_settings()
    _throttle()


def _check_requests():
    known = apigateway.handle_execute

    async def handle_execute(api, stage, path, method, headers, body, query, raw_query_string=None):
        line = f"{method} {path}?{raw_query_string or ''} HTTP/1.1"
        if len(line.encode()) + sum(len(str(value).encode()) for value in headers.values()) > LONGEST_HEAD:
            return _message(431, "Request Header Fields Too Large")
        if len(body or b"") > LONGEST_PAYLOAD:
            return _message(413, "Request Entity Too Large")
        # A client cannot set this header. The emulator is served over HTTP only.
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-parameter-mapping.html
        headers = {**headers, "x-forwarded-proto": "http"}
        return await known(api, stage, path, method, headers, body, query, raw_query_string=raw_query_string)

    apigateway.handle_execute = handle_execute


def _enforce_resource_policies():
    """A function's resource policy must allow the API, for its integrations and its authorizer.

    https://repost.aws/knowledge-center/api-gateway-http-lambda-integrations
    """
    known_proxy, known_authorizer = apigateway._invoke_lambda_proxy, apigateway._invoke_request_authorizer_lambda

    async def invoke_lambda_proxy(integration, api, stage, path, method, *rest, **more):
        if not _is_allowed(integration.get("integrationUri"), f"{api}/{stage}/{method}{path}"):
            return _message(500, "Internal Server Error")
        return await known_proxy(integration, api, stage, path, method, *rest, **more)

    async def invoke_authorizer(authorizer, event, account, region):
        api = event["routeArn"].split(":")[5].split("/")[0]
        if not _is_allowed(authorizer.get("authorizerUri"), f"{api}/authorizers/{authorizer['authorizerId']}"):
            return None
        return await known_authorizer(authorizer, event, account, region)

    apigateway._invoke_lambda_proxy = invoke_lambda_proxy
    apigateway._invoke_request_authorizer_lambda = invoke_authorizer


def _show_route_settings():
    """GetStages returns the route settings of a template under the names of the API.

    https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-stages.html
    """
    known = provisioners._apigw_v2_stage_props

    def stage_props(props):
        stage = known(props)
        for key in stage["routeSettings"]:
            if not any(route["routeKey"] == key for route in apigateway._routes.get(props["ApiId"], {}).values()):
                raise ValueError(f"Unable to find Route by key {key} within the provided RouteSettings")
        routes = {key: _camel(settings) for key, settings in stage["routeSettings"].items()}
        return {**stage, "defaultRouteSettings": _camel(stage["defaultRouteSettings"]), "routeSettings": routes}

    provisioners._apigw_v2_stage_props = stage_props


def _camel(settings):
    return {name[0].lower() + name[1:]: value for name, value in settings.items()}


def _throttle():
    """The limits of a stage: a bucket of tokens for each route with settings, and one for the others.

    AWS does not say whether routes without settings share a bucket. A shared one is stricter.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
    """
    known, buckets = apigateway.handle_execute, {}

    async def handle_execute(api, stage, path, *rest, **more):
        limits = _limits(api, stage, path, rest[0])
        if limits and not _take(buckets, (api, stage, limits[0]), *limits[1:]):
            return _message(429, "Too Many Requests")
        return await known(api, stage, path, *rest, **more)

    apigateway.handle_execute = handle_execute


def _limits(api, stage, path, method):
    """The bucket of a request, its rate and its burst, if the stage has limits."""
    scope = apigateway.find_api_scope(api)
    if scope is None:
        return None
    with apigateway.request_scope(*scope):
        described = (apigateway._stages.get(api) or {}).get(stage) or {}
        route = apigateway._match_route(api, method, "/" + path.lstrip("/")) or {}
    key = route.get("routeKey")
    own = (described.get("routeSettings") or {}).get(key)
    settings = own or described.get("defaultRouteSettings") or {}
    if "throttlingRateLimit" not in settings or "throttlingBurstLimit" not in settings:
        return None
    return key if own else None, float(settings["throttlingRateLimit"]), int(settings["throttlingBurstLimit"])


def _take(buckets, name, rate, burst):
    now = time.monotonic()
    tokens, filled = buckets.get(name, (burst, now))
    tokens = min(burst, tokens + (now - filled) * rate)
    buckets[name] = (tokens - 1 if tokens >= 1 else tokens, now)
    return tokens >= 1


def _is_allowed(uri, source):
    function = apigateway._extract_lambda_ref_from_integration_uri(uri or "")
    policy, _ = lambda_svc.function_policy_for_arn(function) or (None, None)
    source = f"arn:aws:execute-api:{responses.get_region()}:{responses.get_account_id()}:{source}"
    return allows_service(policy, PRINCIPAL, "lambda:InvokeFunction", function, {"aws:SourceArn": source})


def _message(status, text):
    return status, {"Content-Type": "application/json"}, json.dumps({"message": text}).encode()
