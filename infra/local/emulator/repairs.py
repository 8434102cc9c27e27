"""Behaviour of the emulator that the service depends on, made as AWS documents it."""

import json
import socketserver

from ministack.core import lambda_runtime
from ministack.services import eventbridge, lambda_svc, secretsmanager
from ministack.services.cloudformation import provisioners

LONGEST_SECRET = 65_536  # bytes; https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html


def install():
    _make_create_secret_idempotent()
    _retry_what_events_invoke()
    _hide_errors_of_functions()
    _answer_without_pauses()
    _accept_alarms_over_several_metrics()


def _make_create_secret_idempotent():
    """The same ClientRequestToken with the same value is one creation; the token is the version's id."""
    known = secretsmanager._create_secret

    def create_secret(data):
        token, value = data.get("ClientRequestToken"), data.get("SecretString")
        if len((value or "").encode()) > LONGEST_SECRET:
            return secretsmanager.error_response_json(
                "InvalidParameterException", "The value has more than 65,536 bytes.", 400
            )
        secret = secretsmanager._secrets.get(data.get("Name"))
        version = (secret or {}).get("Versions", {}).get(token)
        if version and not secret.get("DeletedDate") and version.get("SecretString") == value:
            return _created(secret, token)
        answer = known(data)
        if answer[0] != 200 or not token:
            return answer
        secret = secretsmanager._secrets[data["Name"]]
        made = json.loads(answer[2])["VersionId"]
        secret["Versions"] = {token if vid == made else vid: kept for vid, kept in secret["Versions"].items()}
        return _created(secret, token)

    secretsmanager._create_secret = create_secret


def _created(secret, version):
    return secretsmanager.json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": version})


def _retry_what_events_invoke():
    """A rule invokes a function asynchronously: with the function's retries and its on-failure destination."""

    def dispatch_to_lambda(arn, payload):
        function, config, _ = lambda_svc._get_func_record_for_ref(arn)
        if function and config:
            record = lambda_svc._execution_record_for_config(function, config)
            lambda_svc.invoke_async_with_retry(record, json.loads(payload))

    eventbridge._dispatch_to_lambda = dispatch_to_lambda


def _hide_errors_of_functions():
    """An HTTP API answers 500 with a fixed body when a function fails; the error itself is for the log."""
    known = lambda_svc.lambda_execute_result_to_api_proxy_response

    def to_response(result):
        if result.get("error") and not result.get("throttle"):
            body = json.dumps({"message": "Internal Server Error"})
            return {"statusCode": 500, "headers": {"Content-Type": "application/json"}, "body": body}, None
        return known(result)

    lambda_svc.lambda_execute_result_to_api_proxy_response = to_response


def _answer_without_pauses():
    """Of 100 ms for a warm call, 50 were a wait for log lines that do not come and 40 Nagle's algorithm.

    The lines are written before the answer, but another thread reads them: on a busy machine 5 ms were too few for it.
    """
    known = lambda_runtime.ProvidedWorker._drain_stderr_bounded

    def drain(worker, first_line_wait=0.025, **bounds):
        return known(worker, first_line_wait=first_line_wait, **bounds)

    lambda_runtime.ProvidedWorker._drain_stderr_bounded = drain
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True


def _accept_alarms_over_several_metrics():
    """The emulator refuses metric math, and with it the whole stack. Such an alarm is kept as one over its first metric."""
    known = provisioners._cw_metric_alarm_record

    def record(name, props):
        stats = [one["MetricStat"] for one in props.get("Metrics") or [] if "MetricStat" in one]
        if stats:
            first = {**stats[0]["Metric"], "Period": stats[0]["Period"], "Statistic": stats[0]["Stat"]}
            props = {**{name: value for name, value in props.items() if name != "Metrics"}, **first}
        return known(name, props)

    provisioners._cw_metric_alarm_record = record
