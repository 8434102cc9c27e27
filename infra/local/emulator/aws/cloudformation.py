"""CloudFormation: logical names, and lists in conditions. ministack checks sizes and counts."""

from ministack.services.cloudformation import changesets, engine, handlers, stacks

from .calls import Refused

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/outputs-section-structure.html
SECTIONS = ("Resources", "Parameters", "Outputs", "Conditions")
LONGEST_NAME = 255


def install():
    known = handlers._parse_template

    def parse_template(body):
        template = known(body)
        for section in SECTIONS:
            for name in template.get(section) or {}:
                if not (name.isascii() and name.isalnum() and len(name) <= LONGEST_NAME):
                    raise Refused("ValidationError", f"{section} name '{name}' is non alphanumeric.")
        return template

    engine._parse_template = handlers._parse_template = parse_template
    _join_in_conditions()


def _join_in_conditions():
    """A condition can join a list, and so find out whether it is empty. ministack takes the call of
    `Fn::Join` itself for a value."""
    known = engine._evaluate_conditions

    def evaluate(template, parameters):
        return known({**template, "Conditions": _joined(template.get("Conditions") or {}, parameters)}, parameters)

    for module in (changesets, engine, handlers, stacks):
        module._evaluate_conditions = evaluate


def _joined(value, parameters):
    if isinstance(value, list):
        return [_joined(one, parameters) for one in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["Fn::Join"]:
        separator, items = value["Fn::Join"]
        known = lambda one: parameters[one["Ref"]]["Value"] if isinstance(one, dict) else one
        return separator.join(map(known, items) if isinstance(items, list) else known(items).split(","))
    return {name: _joined(one, parameters) for name, one in value.items()}
