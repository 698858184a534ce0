import pytest

from agent.upload.s3_credentials import S3CredentialsError, parse_credentials

FILE = """\
# as AWS's own tools read it
[default]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = se/cr+et=
"""


def test_reads_what_aws_own_tools_read() -> None:
    keys = parse_credentials(FILE)
    assert (keys.access, keys.secret, keys.token) == ("AKIAEXAMPLE", "se/cr+et=", "")
    keys = parse_credentials(f"{FILE}aws_session_token = to%ken\n[other]\nregion = x\n")
    assert keys.token == "to%ken"  # noqa: S105 - as in the file


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "[other]\naws_access_key_id = a\naws_secret_access_key = s",
        "[default]\naws_access_key_id = a",
        "[default]\naws_access_key_id =\naws_secret_access_key = secret",
        "[default]\naws_access_key_id = a\naws_secret_access_key = secret\n  more",
        "[default]\naws_access_key_id = ä\naws_secret_access_key = secret",
        f"{FILE}{FILE}",
    ],
)
def test_what_is_no_credentials_is_not_shown(text: str) -> None:
    with pytest.raises(S3CredentialsError) as caught:
        parse_credentials(text)
    assert "secret " not in str(caught.value).replace("aws_secret_access_key", "")
