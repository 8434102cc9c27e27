"""STS: only the shapes of the API reference are checked, such as the characters of a session name.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""


def install():
    pass
