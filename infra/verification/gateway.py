"""Compares the deployed API with the template: routes, authorizer, stage."""

from .aws import together
from .checks import REPAIR, Check, expect
from .compare import differences


def routes(run):
    """Each route has its function and its authorizer, and there is no other route."""
    api = run.deployed.outputs["ApiId"]
    found, integrations = together(
        lambda: run.aws("apigatewayv2", "get-routes", "--api-id", api)["Items"],
        lambda: run.aws("apigatewayv2", "get-integrations", "--api-id", api)["Items"],
    )
    functions = {f"integrations/{one['IntegrationId']}": _function_in(one.get("IntegrationUri", "")) for one in integrations}
    present = {one["RouteKey"]: one for one in found}
    names = run.deployed.of_type("AWS::ApiGatewayV2::Integration")
    lines, expected = [], set()
    for name, route in run.deployed.of_type("AWS::ApiGatewayV2::Route").items():
        key = route["RouteKey"]
        expected.add(key)
        where = f"route {key} ({name})"
        if key not in present:
            lines.append(f"{where} is missing. {REPAIR}")
            continue
        one = present[key]
        wanted = {part: route[part] for part in ("AuthorizationType", "AuthorizerId") if part in route}
        lines += [f"{where}: {text}. {REPAIR}" for text in differences(wanted, one)]
        integration = route["Target"].split("/")[1]
        wanted = next((_function_in(it["IntegrationUri"]) for it_name, it in names.items() if run.deployed.physical[it_name] == integration), None)
        if functions.get(one.get("Target")) != wanted:
            lines.append(f"{where} invokes {functions.get(one.get('Target'))}, and must invoke {wanted}. {REPAIR}")
    lines += [f"route {key} is not in the template. {REPAIR}" for key in sorted(set(present) - expected)]
    expect(lines)
    return f"{len(expected)} routes"


def _function_in(uri):
    """The function of an integration's URI: its ARN, or an API Gateway path with the ARN."""
    return uri.split("/functions/")[-1].split("/invocations")[0].rsplit(":", 1)[-1]


def endpoint(run):
    """Whether requests can go around a custom domain."""
    lines = []
    for name, expected in run.deployed.of_type("AWS::ApiGatewayV2::Api").items():
        present = run.aws("apigatewayv2", "get-api", "--api-id", run.deployed.physical[name])
        wanted = {"DisableExecuteApiEndpoint": expected["DisableExecuteApiEndpoint"]}
        lines += [f"API {name}: {one}. {REPAIR}" for one in differences(wanted, present)]
    expect(lines)


def authorizer(run):
    api = run.deployed.outputs["ApiId"]
    found = {one["Name"]: one for one in run.aws("apigatewayv2", "get-authorizers", "--api-id", api)["Items"]}
    lines = []
    for name, expected in run.deployed.of_type("AWS::ApiGatewayV2::Authorizer").items():
        wanted = {part: value for part, value in expected.items() if part not in ("ApiId", "AuthorizerUri")}
        present = found.get(expected["Name"], {})
        lines += [f"authorizer {name}: {one}. {REPAIR}" for one in differences(wanted, present)]
        if _function_in(present.get("AuthorizerUri", "")) != _function_in(expected["AuthorizerUri"]):
            lines.append(f"authorizer {name} invokes {present.get('AuthorizerUri')}. {REPAIR}")
    expect(lines)


def stage(run):
    """Access logs, without headers, and the throttle."""
    api = run.deployed.outputs["ApiId"]
    found = {one["StageName"]: one for one in run.aws("apigatewayv2", "get-stages", "--api-id", api)["Items"]}
    lines = []
    for name, expected in run.deployed.of_type("AWS::ApiGatewayV2::Stage").items():
        present = found.get(expected["StageName"], {})
        where = f"stage {expected['StageName']} of API {api}"
        settings = present.get("AccessLogSettings") or {}
        if not settings.get("DestinationArn"):
            lines.append(
                f"{where} writes no access log: the template's log group is not its destination. The principal that "
                f"deploys needs the rights for log deliveries that docs/operations.md lists. {REPAIR}"
            )
        else:
            wanted = expected["AccessLogSettings"]
            group = [_log_group(one["DestinationArn"]) for one in (wanted, settings)]
            if group[0] != group[1]:
                lines.append(f"{where} logs to {group[1]}, and must log to {group[0]}. {REPAIR}")
            if wanted["Format"].split() != settings.get("Format", "").split():
                lines.append(f"{where} logs in another format, which can contain tokens. {REPAIR}")
        wanted = {one: expected[one] for one in ("AutoDeploy", "DefaultRouteSettings", "RouteSettings")}
        lines += [f"{where}: {one}. {REPAIR}" for one in differences(wanted, present)]
    expect(lines)


def _log_group(arn):
    return arn.removesuffix(":*")


CHECKS = [
    Check("routes", "routes: function and authorizer of each", routes, ()),
    Check("authorizer", "the authorizer of the API", authorizer, ()),
    Check("endpoint", "the default endpoint of the API", endpoint, ()),
    Check("stage", "access logs and throttle of the API", stage, ()),
]
