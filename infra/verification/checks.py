"""What a check is, and its outcomes."""

from collections import namedtuple

REPAIR = "Deploy again; if it stays, another tool changes this resource."
WORKS, FAILS, NOT_TRIED = "works", "does not work", "not tried"

# `function(run)` returns a remark or None. `needs` names the checks whose results it uses.
Check = namedtuple("Check", "name title function needs")
Outcome = namedtuple("Outcome", "check result details")


class Wrong(Exception):
    """The deployment is not as it must be: each line says what, where and what to do."""

    def __init__(self, *lines):
        super().__init__("\n".join(lines))
        self.lines = lines


class NotTried(Exception):
    """The check cannot be made here, and why."""


def expect(lines):
    """Fails if there are any lines."""
    if lines:
        raise Wrong(*lines)
