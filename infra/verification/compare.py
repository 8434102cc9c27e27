"""Comparisons of what is deployed with what the template says. Pure functions: no call of AWS.

Each returns its differences as texts for an operator; an empty list means that nothing differs.
"""

import json
import re

LONGEST_VALUE = 300  # characters that a difference shows of a value


def differences(expected, found, where=""):
    """What of `expected` differs in `found`, which can have more members than `expected`."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return [_difference(where, expected, found)]
        found = {name.lower(): one for name, one in found.items()}
        return [
            one
            for name, value in expected.items()
            for one in differences(value, found.get(name.lower()), f"{where}.{name}" if where else name)
        ]
    if isinstance(expected, list):
        same = isinstance(found, list) and len(found) == len(expected)
        if not same:
            return [_difference(where, expected, found)]
        return [one for index, value in enumerate(expected) for one in differences(value, found[index], f"{where}[{index}]")]
    return [] if _scalar(expected) == _scalar(found) else [_difference(where, expected, found)]


def exactly(expected, found, where):
    """Like `differences` for a flat map, but without further members."""
    more = [f"{where}.{name} is not in the template" for name in sorted(set(found) - set(expected))]
    return differences(expected, found, where) + more


def policies(expected, found):
    """The statements that differ between two policy documents, whatever their order."""
    wanted, present = _statements(expected), _statements(found)
    texts = []
    for name in wanted.keys() | present.keys():
        if name not in present:
            texts.append(f"statement {name} is missing")
        elif name not in wanted:
            texts.append(f"statement {name} is not in the template: {_short(present[name])}")
        else:
            texts += [f"statement {name}: {one}" for one in _statement(wanted[name], present[name])]
    return sorted(texts)


def _statement(wanted, present):
    return [
        _difference(part, wanted.get(part), present.get(part))
        for part in sorted(wanted.keys() | present.keys())
        if wanted.get(part) != present.get(part)
    ]


def _statements(document):
    """The statements by Sid, in one form: AWS returns a list of one as its element, in any order."""
    document = json.loads(document) if isinstance(document, str) else document or {}
    listed = document.get("Statement") or []
    listed = listed if isinstance(listed, list) else [listed]
    return {one.get("Sid") or f"number {index + 1}": _form(one) for index, one in enumerate(listed)}


def _form(statement):
    return {name: _part(value) for name, value in statement.items() if name != "Sid"}


def _part(value):
    if isinstance(value, dict):
        return {name: _part(one) for name, one in value.items()}
    return sorted(_account(_scalar(one)) for one in (value if isinstance(value, list) else [value]))


def _account(text):
    """AWS returns a principal that is an account as the ARN of its root user."""
    return re.sub(r"^arn:[a-z-]+:iam::([0-9]{12}):root$", r"\1", text)


def _scalar(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _difference(where, expected, found):
    if found is None:
        return f"{where} is missing; it must be {_short(expected)}"
    if expected is None:
        return f"{where} must not be there: {_short(found)}"
    return f"{where} must be {_short(expected)}, and is {_short(found)}"


def _short(value):
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def alarms(expected, found):
    """What differs in an alarm. The order of dimensions has no meaning."""
    return differences(_alarm(expected), _alarm(found))


def _alarm(properties):
    kept = {name: value for name, value in properties.items() if name not in ("Dimensions", "Metrics")}
    if properties.get("Metrics"):
        kept["Metrics"] = {one["Id"]: _query(one) for one in properties["Metrics"]}
    elif "Dimensions" in properties:
        kept["Dimensions"] = _dimensions(properties)
    kept.setdefault("AlarmActions", [])
    return kept


def _query(query):
    stat = query.get("MetricStat")
    if not stat:
        return {name: value for name, value in query.items() if name in ("Expression", "ReturnData")}
    metric = stat["Metric"]
    named = {"Namespace": metric["Namespace"], "MetricName": metric["MetricName"], "Dimensions": _dimensions(metric)}
    return {**named, "Period": stat["Period"], "Stat": stat["Stat"]}


def _dimensions(metric):
    return {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}


def metrics(alarm):
    """The metrics of an alarm: (namespace, name, dimensions)."""
    single = [alarm] if alarm.get("MetricName") else []
    several = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics") or [] if one.get("MetricStat")]
    return [(one["Namespace"], one["MetricName"], one.get("Dimensions") or []) for one in single + several]
