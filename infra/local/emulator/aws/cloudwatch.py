"""CloudWatch: alarms."""

from ministack.services.cloudformation import provisioners

from .calls import Refused, resource

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
MOST_METRICS = 10
MOST_QUERIES = 20
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
MOST_ACTIONS = 5
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
LONGEST_DESCRIPTION = 1_024
SHORT_PERIODS = (10, 20, 30)
DAY, WEEK, HOUR = 86_400, 604_800, 3_600


def install():
    resource("AWS::CloudWatch::Alarm", _refuse)
    _accept_alarms_over_several_metrics()


def _refuse(properties):
    metrics = properties.get("Metrics") or []
    stats = [one["MetricStat"] for one in metrics if "MetricStat" in one]
    if len(metrics) > MOST_QUERIES or len(stats) > MOST_METRICS:
        raise Refused("ValidationError", "An alarm over an expression takes 10 metrics and 20 queries at most.")
    if metrics and sum(bool(one.get("ReturnData", True)) for one in metrics) != 1:
        raise Refused("ValidationError", "Exactly one element of the metrics list should return data.")
    if len(properties.get("AlarmDescription") or "") > LONGEST_DESCRIPTION:
        raise Refused("ValidationError", "An alarm's description has 1,024 characters at most.")
    for name in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        if len(properties.get(name) or []) > MOST_ACTIONS:
            raise Refused("ValidationError", "An alarm has 5 actions of a kind at most.")
    for period in [one.get("Period") for one in stats] or [properties.get("Period")]:
        _refuse_period(int(period or 60), int(properties["EvaluationPeriods"]))


def _refuse_period(period, periods):
    if period not in SHORT_PERIODS and period % 60:
        raise Refused("ValidationError", "A period is 10, 20, 30 or a multiple of 60 seconds.")
    if period * periods > (WEEK if period >= HOUR else DAY):
        raise Refused("ValidationError", "Metrics cannot be checked across more than a day, or a week by the hour.")


def _accept_alarms_over_several_metrics():
    """Stores an alarm with metric math as an alarm over its first metric, and shows its metrics.

    The emulator refuses metric math, and with it the whole stack. AWS shows only `Metrics`.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html
    """
    known = provisioners._cw_metric_alarm_record

    def record(name, props):
        stats = [one["MetricStat"] for one in props.get("Metrics") or [] if "MetricStat" in one]
        metrics = props.get("Metrics")
        if stats:
            first = {**stats[0]["Metric"], "Period": stats[0]["Period"], "Statistic": stats[0]["Stat"]}
            props = {**{name: value for name, value in props.items() if name != "Metrics"}, **first}
        return {**known(name, props), **({"Metrics": metrics} if metrics else {})}

    provisioners._cw_metric_alarm_record = record
