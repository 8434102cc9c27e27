"""Lambda: sizes, environments, destinations, and the responses of failed functions."""

import json
import re
import socketserver

from ministack.core import iam_evaluator, lambda_runtime, responses
from ministack.services import lambda_svc

from . import shapes
from .calls import Refused, check, resource

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LONGEST_ENVIRONMENT = 4_096  # bytes
# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
LONGEST_PAYLOAD = 6 * 1024 * 1024
LONGEST_EVENT = 1024 * 1024
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
RESERVED = {
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
}
# https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
LONGEST_RUN = 900  # seconds
FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
SENDS = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "events": "events:PutEvents", "lambda": "lambda:InvokeFunction"}
OF_A_FUNCTION = ("FunctionName", "Timeout", "MemorySize", "Environment", "Description", "Handler")


def install():
    check("lambda", _refuse)
    resource("AWS::Lambda::Function", _refuse_function_of_a_stack)
    resource("AWS::Lambda::EventInvokeConfig", _refuse_invoke_config_of_a_stack)
    resource("AWS::Lambda::Permission", _refuse_permission)
    _refuse_large_responses()
    _record_source_functions()
    _hide_function_errors()
    _answer_without_delays()


def _refuse(call):
    if call.operation == "Invoke":
        asynchronous = call.headers.get("x-amz-invocation-type") == "Event"
        if len(call.body) > (LONGEST_EVENT if asynchronous else LONGEST_PAYLOAD):
            raise Refused("RequestTooLargeException", "The payload is over the limit.", 413)
    if call.operation in ("CreateFunction", "UpdateFunctionConfiguration"):
        _refuse_function(call.data)
    if call.operation in ("PutFunctionEventInvokeConfig", "UpdateFunctionEventInvokeConfig"):
        name = call.path.split("/functions/", 1)[1].split("/", 1)[0]
        _refuse_destinations(name, call.data)
    if call.operation == "AddPermission":
        _refuse_permission(call.data)


def _refuse_function(data):
    name = data.get("FunctionName", "")
    if name and not name.startswith("arn:") and not FUNCTION_NAME.fullmatch(name):
        raise Refused("InvalidParameterValueException", "A name has 1 to 64 letters, digits, hyphens and underscores.")
    if int(data.get("Timeout") or 0) > LONGEST_RUN:
        raise Refused("InvalidParameterValueException", "A function's timeout is 900 seconds at most.")
    variables = (data.get("Environment") or {}).get("Variables") or {}
    if reserved := sorted(RESERVED & set(variables)):
        raise Refused("InvalidParameterValueException", f"Reserved environment variables: {', '.join(reserved)}.")
    if len(json.dumps(variables, separators=(",", ":")).encode()) > LONGEST_ENVIRONMENT:
        raise Refused("InvalidParameterValueException", "Environment variables have more than 4,096 bytes.")


def _refuse_function_of_a_stack(properties):
    given = {name: properties[name] for name in OF_A_FUNCTION if name in properties}
    needed = {"FunctionName": "function", "Role": "arn:aws:iam::123456789012:role/role", "Code": {}}
    shapes.check("lambda", "CreateFunction", {**needed, **given}, Refused)
    _refuse_function(given)


def _refuse_invoke_config_of_a_stack(properties):
    wanted = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
    given = {name: properties[name] for name in wanted if name in properties}
    shapes.check("lambda", "PutFunctionEventInvokeConfig", given, Refused)
    _refuse_destinations(properties["FunctionName"], given)


def _refuse_destinations(name, data):
    """Lambda checks immediately that the function's role may send to a destination.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    _, config, _ = lambda_svc._get_func_record_for_ref(name)
    for one in (data.get("DestinationConfig") or {}).values():
        arn = (one or {}).get("Destination")
        service = arn.split(":")[2] if arn else None
        if config and service in SENDS and not _role_may(config, SENDS[service], service, arn):
            raise Refused(
                "InvalidParameterValueException",
                f"The function's execution role does not have permissions to call {SENDS[service]} on {arn}",
            )


def _role_may(config, action, service, arn):
    role = lambda_runtime.execution_credentials(config)
    key = role["AWS_ACCESS_KEY_ID"]
    return iam_evaluator.enforce(key, action, service, responses.get_region(), resource_arn=arn) is None


def _refuse_permission(data):
    """EventBridge sends no source account, so a permission with a source account denies it.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
    """
    if data.get("Principal") == "events.amazonaws.com" and data.get("SourceAccount"):
        raise Refused("InvalidParameterValueException", "SourceAccount keeps EventBridge from invoking the function.")


_sources = {}


def condition_keys_of(access_key):
    """The condition keys of calls with the credentials of a function.

    https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
    """
    return {"lambda:SourceFunctionArn": _sources[access_key]} if access_key in _sources else {}


def _record_source_functions():
    known = lambda_runtime.execution_credentials

    def execution_credentials(config):
        credentials = known(config)
        _sources[credentials["AWS_ACCESS_KEY_ID"]] = config.get("FunctionArn", "")
        return credentials

    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = execution_credentials


def _refuse_large_responses():
    """A response of more than 6 MB is a function error.

    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    known = lambda_svc._execute_function

    def execute(function, event):
        result = known(function, event)
        body = result.get("body")
        if not result.get("error") and len(body if isinstance(body, (bytes, str)) else json.dumps(body)) > LONGEST_PAYLOAD:
            error = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": "Response payload size exceeded."}
            return {**result, "body": error, "error": True}
        return result

    lambda_svc._execute_function = execute


def _hide_function_errors():
    """An HTTP API answers 500 with a fixed body if a function fails. Only the log shows the error.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
    """
    known = lambda_svc.lambda_execute_result_to_api_proxy_response

    def to_response(result):
        if result.get("error") and not result.get("throttle"):
            body = json.dumps({"message": "Internal Server Error"})
            return {"statusCode": 500, "headers": {"Content-Type": "application/json"}, "body": body}, None
        return known(result)

    lambda_svc.lambda_execute_result_to_api_proxy_response = to_response


def _answer_without_delays():
    """Of the 100 ms of a warm call, 50 were a wait for absent log lines and 40 Nagle's algorithm.

    A function writes its log lines before it answers, but another thread reads them: on a busy
    machine, that thread needs more than 5 ms.
    """
    known = lambda_runtime.ProvidedWorker._drain_stderr_bounded

    def drain(worker, first_line_wait=0.025, **bounds):
        return known(worker, first_line_wait=first_line_wait, **bounds)

    lambda_runtime.ProvidedWorker._drain_stderr_bounded = drain
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
