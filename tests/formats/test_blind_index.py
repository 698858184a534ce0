import hashlib
import hmac
import random
import shutil
import subprocess

import pytest
from hypothesis import given, strategies as st

from agent.common.errors import AgentError
from agent.formats import blind_index
from agent.formats.blind_index import (
    MAX_FILE,
    MAX_NUMBER,
    IndexKeyError,
    IndexKeys,
    blind,
    month_key,
)

ROOT = random.Random(3).randbytes(32)
NUMBER = "+358401234567"
KEY = "ab" * 32


def expand(root: bytes, month: str) -> bytes:
    """HKDF-SHA256 (RFC 5869) by hand: no salt, one block."""
    extracted = hmac.digest(bytes(32), root, "sha256")
    info = b"recording-agent index v1\0" + month.encode()
    return hmac.digest(extracted, info + b"\x01", "sha256")


def test_a_months_key_is_what_the_format_document_says() -> None:
    assert month_key(ROOT, "2026-11") == expand(ROOT, "2026-11")
    assert month_key(ROOT, "2026-12") != month_key(ROOT, "2026-11")


def test_a_name_is_what_the_format_document_says() -> None:
    key = month_key(ROOT, "2026-11")
    message = b"caller\0" + NUMBER.encode()
    assert blind(key, "caller", NUMBER) == hmac.digest(key, message, "sha256").hex()
    assert blind(key, "officer", NUMBER) != blind(key, "caller", NUMBER)
    assert blind(month_key(ROOT, "2026-12"), "caller", NUMBER) != blind(
        key, "caller", NUMBER
    )
    assert hashlib.sha256(NUMBER.encode()).hexdigest() != blind(key, "caller", NUMBER)


def test_openssl_finds_the_same_name() -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to be found")
    key = month_key(ROOT, "2026-11")
    done = subprocess.run(
        [openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}"],
        input=b"caller\0" + NUMBER.encode(),
        capture_output=True,
        check=True,
    )
    assert done.stdout.split()[-1].decode() == blind(key, "caller", NUMBER)


@pytest.mark.parametrize("number", ["", "1" * (MAX_NUMBER + 1)])
def test_what_is_no_number(number: str) -> None:
    with pytest.raises(IndexKeyError, match="no number"):
        blind(ROOT, "caller", number)


def test_what_is_no_key() -> None:
    with pytest.raises(IndexKeyError, match="32 bytes"):
        blind(ROOT[:-1], "caller", NUMBER)
    with pytest.raises(IndexKeyError, match="32 bytes"):
        month_key(ROOT[:-1], "2026-11")


@pytest.mark.parametrize("month", ["", "2026-13", "2026-00", "2026-1", "2026-11\n"])
def test_what_is_no_month(month: str) -> None:
    with pytest.raises(IndexKeyError, match="2026-11"):
        month_key(ROOT, month)


def test_a_hosts_file_is_read_as_it_was_written() -> None:
    months = {month: month_key(ROOT, month) for month in ("2026-11", "2026-12")}
    keys = IndexKeys.parse(IndexKeys(months).to_bytes())
    assert keys == IndexKeys(months)
    assert keys.blind("2026-11", "caller", NUMBER) == blind(
        months["2026-11"], "caller", NUMBER
    )
    assert keys.blind("2027-01", "caller", NUMBER) is None
    assert IndexKeys().blind("2026-11", "caller", NUMBER) is None


def test_nothing_shows_a_key() -> None:
    keys = IndexKeys({"2026-11": ROOT})
    assert repr(keys) == "IndexKeys(['2026-11'])"
    assert repr(blind_index._File(1, {"2026-11": KEY})) == "_File(…)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed"),
        ("[" * 3000, "malformed"),
        ("\xff", "malformed"),
        ('{"version":1,"keys":{},"root":""}', "malformed"),
        ('{"version":2,"keys":{}}', "version 2"),
        ('{"version":1,"keys":{}}', "0 months"),
        (
            '{"version":1,"keys":{"2026-01":"","2026-02":"","2026-03":"","2026-04":""}}',
            "4 months",
        ),
        (f'{{"version":1,"keys":{{"2026-13":"{KEY}"}}}}', "written like"),
        (f'{{"version":1,"keys":{{"2026-12":"{KEY[1:]}"}}}}', "of 2026-12 is mal"),
        (f'{{"version":1,"keys":{{"2026-12":"{KEY.upper()}"}}}}', "of 2026-12 is mal"),
        (" " * (MAX_FILE + 1), "too long"),
    ],
)
def test_a_file_that_is_none(text: str, reason: str) -> None:
    with pytest.raises(IndexKeyError, match=reason) as caught:
        IndexKeys.parse(text.encode("latin-1"))
    assert KEY[1:] not in str(caught.value)


@given(st.binary(max_size=200))
def test_garbage_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(AgentError):
        IndexKeys.parse(data)
