"""What a verification prints, and what it cost."""

import json
import shutil
import textwrap

from .checks import FAILS, NOT_TRIED, WORKS

# Prices in dollars, in us-east-1, as docs/operations.md lists them with their pages.
SECRET_HOUR = 0.40 / 730  # Secrets Manager bills by the hour
SECRET_CALL = 0.05 / 10_000
KMS_CALL = 0.03 / 10_000
API_REQUEST = 1.00 / 1_000_000
METRIC_READ = 0.01 / 1_000  # https://aws.amazon.com/cloudwatch/pricing/
# DynamoDB, Lambda, SQS and logs: less than this for each request of the API.
REST = 0.00002
WIDTHS = (15, 15)  # of the columns of the result and of the check


def cost(run):
    """An upper bound in dollars."""
    copies, requests = len(run.people.copies), run.api.requests
    secrets = copies * SECRET_HOUR + (run.aws.calls.get("secretsmanager", 0) + 4 * copies) * SECRET_CALL
    return secrets + requests * (API_REQUEST + REST + 4 * KMS_CALL) + run.metrics_read * METRIC_READ


def rows(outcome):
    """The lines of the table for one check: the result, its name, and each detail, indented."""
    width = max(60, min(160, shutil.get_terminal_size((100, 24)).columns))
    check, result, details = outcome
    remark = details[0] if result == WORKS and details else ""
    title = check.title + (f": {remark}" if remark else "")
    yield f"{result:<{WIDTHS[0]}}{check.name:<{WIDTHS[1]}}{title}"
    if result != WORKS:
        for detail in details:
            yield from textwrap.wrap(detail, width - 6, initial_indent="    - ", subsequent_indent="      ", break_long_words=False, break_on_hyphens=False)


def counts(outcomes):
    results = [outcome.result for outcome in outcomes]
    return {name: results.count(name) for name in (WORKS, FAILS, NOT_TRIED)}


def summary(run, outcomes, left, seconds):
    found = counts(outcomes)
    yield f"works: {found[WORKS]}, does not work: {found[FAILS]}, not tried: {found[NOT_TRIED]}; {seconds:.0f} s, at most ${cost(run):.4f}"
    if run.people.begun:
        kept = f"workspace {run.people.workspace} ({run.people.name})"
        yield f"Removed what was made. The audit records and receipts of {kept} stay." if not left else f"Left of {kept}:"
    yield from (f"  - {one}" for one in left)


def as_json(run, outcomes, left, seconds):
    found = counts(outcomes)
    return json.dumps(
        {
            "stack": run.deployed.name, "works": found[WORKS], "doesNotWork": found[FAILS], "notTried": found[NOT_TRIED],
            "seconds": round(seconds), "costDollars": round(cost(run), 4),
            "workspace": run.people.workspace, "left": left,
            "checks": [
                {"check": one.check.name, "title": one.check.title, "result": one.result, "details": list(one.details)} for one in outcomes
            ],
        }
    )
