"""CloudFormation: logical names. The emulator itself checks a template's sizes and counts."""

from ministack.services.cloudformation import engine, handlers

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
