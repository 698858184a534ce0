"""What we sign with at an object store: AWS's shared-credentials file, `[default]`."""

import configparser
from typing import Final

from agent.common.errors import AgentError
from agent.common.outgoing import StorageKeys

_SECTION: Final = "default"


class S3CredentialsError(AgentError):
    """The file is no shared-credentials file."""

    hint = (
        "It has a section [default] with aws_access_key_id and aws_secret_access_key."
    )


def parse_credentials(text: str) -> StorageKeys:
    """Read the file's text. Raises S3CredentialsError, which shows nothing of it."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
        section = dict(parser[_SECTION])
        found = StorageKeys(
            section["aws_access_key_id"],
            section["aws_secret_access_key"],
            section.get("aws_session_token", ""),
        )
    except (configparser.Error, KeyError):
        raise S3CredentialsError("these are no credentials.") from None
    values = (found.access, found.secret, found.token)
    if not (found.access and found.secret) or not all(
        value.isascii() and value.isprintable() for value in values
    ):
        raise S3CredentialsError("these are no credentials.")
    return found
