"""STS: the shapes of the API reference, such as the characters of a session's name, are all that is checked.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""


def install():
    pass
