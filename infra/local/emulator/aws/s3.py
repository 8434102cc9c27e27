"""S3: the expected owner of a bucket. Bodies are not parsed: they can be large."""

from ministack import app as ministack
from ministack.core.responses import get_account_id
from ministack.services import s3


def install():
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html"""
    known = ministack.SERVICE_HANDLERS["s3"]

    async def handler(method, path, headers, body, query):
        if headers.get("x-amz-expected-bucket-owner", get_account_id()) != get_account_id():
            return s3._error("AccessDenied", "Access Denied", 403)
        return await known(method, path, headers, body, query)

    ministack.SERVICE_HANDLERS["s3"] = handler
