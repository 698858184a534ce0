import base64

import pytest
from hypothesis import given, strategies as st

from agent.model.media import SrtpSuite
from agent.signalling.crypto_attribute import (
    CryptoAttribute,
    CryptoAttributeError,
    parse_crypto,
)
from agent.signalling.sdp import parse_sdp
from tests.corpora import corpus, corpus_files

# The key of RFC 4568 section 10's examples.
RFC_KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
LINE = f"1 AES_CM_128_HMAC_SHA1_80 inline:{RFC_KEY}"


def test_the_example_of_the_rfc() -> None:
    found = parse_crypto(f"{LINE}|2^20 FEC_ORDER=FEC_SRTP".partition(" FEC")[0])
    assert found.tag == "1"
    assert found.suite is SrtpSuite.AES_CM_128_HMAC_SHA1_80
    assert found.key == b"YS___semctl () {\t220;}\n}\nunles"
    assert found.to_value() == LINE


@pytest.mark.parametrize(
    ("suite", "size"),
    [
        ("AES_CM_128_HMAC_SHA1_80", 30),
        ("AES_CM_128_HMAC_SHA1_32", 30),
        ("AEAD_AES_128_GCM", 28),
        ("AEAD_AES_256_GCM", 44),
    ],
)
def test_every_suite_has_its_key_length(suite: str, size: int) -> None:
    for length in (size - 1, size, size + 1):
        encoded = base64.b64encode(bytes(range(length))).decode()
        value = f"7 {suite} inline:{encoded}"
        if length == size:
            assert parse_crypto(value).key == bytes(range(length))
            assert parse_crypto(value.rstrip("=")).key == bytes(range(length))
            assert parse_crypto(value).to_value() == value
        else:
            with pytest.raises(CryptoAttributeError):
                parse_crypto(value)


@pytest.mark.parametrize(
    "more",
    [
        "|2^20",
        "|2^48",
        "|1048576",
        " WSH=64",
        " -new-parameter=1",
        "|2^31 WSH=1024 -x",
        "  ",
    ],
)
def test_what_changes_nothing_is_read_over(more: str) -> None:
    assert parse_crypto(LINE + more) == parse_crypto(LINE)


@pytest.mark.parametrize("tag", ["0", "1", "999999999", "01"])
def test_the_tag_stays_as_it_was_written(tag: str) -> None:
    assert parse_crypto(LINE.replace("1", tag, 1)).tag == tag


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "malformed"),
        ("1 AES_CM_128_HMAC_SHA1_80", "malformed"),
        (f"x{LINE}", "malformed"),
        (LINE.replace("1", "1234567890", 1), "malformed"),
        (LINE.replace("AES_CM", "F8"), "suite"),
        (LINE.replace("AES_CM_128", "AES_256_CM"), "suite"),
        (LINE.replace("inline", "uri"), "inline"),
        (f"{LINE}|1:4", "MKI"),
        (f"{LINE}|2^20|1:32", "MKI"),
        (f"{LINE}|2^20|1:4;inline:{RFC_KEY}|2^20|2:4", "Several"),
        (f"{LINE};inline:{RFC_KEY}", "Several"),
        (f"{LINE}|2^49", "lifetime"),
        (f"{LINE}|0", "lifetime"),
        (f"{LINE}|2^", "lifetime"),
        (f"{LINE}|", "lifetime"),
        (f"{LINE}|999999999999999", "lifetime"),
        (f"{LINE}|2^20|2^20", "lifetime"),
        (LINE.replace("WVN", "W*N"), "base64"),
        (LINE + "A", "base64"),
        (LINE.replace("WVN", "WV\N{LATIN SMALL LETTER E WITH ACUTE}"), "base64"),
        (LINE + "AAAA", "long"),
        (f"{LINE} KDR=1", "session parameter"),
        (f"{LINE} UNENCRYPTED_SRTP", "session parameter"),
        (f"{LINE} UNENCRYPTED_SRTCP", "session parameter"),
        (f"{LINE} UNAUTHENTICATED_SRTP", "session parameter"),
        (f"{LINE} FEC_ORDER=FEC_SRTP", "session parameter"),
        (f"{LINE} FEC_KEY=inline:{RFC_KEY}", "session parameter"),
        (f"{LINE} unknown", "session parameter"),
    ],
)
def test_what_cannot_be_kept_is_refused(value: str, reason: str) -> None:
    with pytest.raises(CryptoAttributeError, match=reason) as caught:
        parse_crypto(value)
    assert RFC_KEY[:6] not in str(caught.value)


def test_a_key_is_in_no_representation() -> None:
    key = base64.b64decode(RFC_KEY)
    shown = repr(CryptoAttribute("1", SrtpSuite.AES_CM_128_HMAC_SHA1_80, key))
    assert "semctl" not in shown
    assert RFC_KEY not in shown


def test_the_offers_of_the_field_are_understood_or_refused() -> None:
    corpus("siprec/msdocs")
    paths = [
        *corpus_files("sdp/sdp-transform", "*.sdp"),
        *corpus_files("sdp/rfc", "rfc4568*.sdp"),
        *corpus_files("siprec/msdocs", "*.sdp"),
    ]
    taken = refused = 0
    for path in paths:
        for media in parse_sdp(path.read_bytes()).media:
            for value in [v or "" for name, v in media.attributes if name == "crypto"]:
                try:
                    parse_crypto(value)
                except CryptoAttributeError:
                    refused += 1
                else:
                    taken += 1
    # Those refused lack the key, which stands on a line of its own in the RFC, or
    # have a master key identifier.
    assert (taken, refused) == (6, 4)


@given(st.text(max_size=120) | st.text(max_size=40).map(lambda text: LINE + text))
def test_garbage_parses_or_is_refused(text: str) -> None:
    try:
        found = parse_crypto(text)
    except CryptoAttributeError:
        return
    assert parse_crypto(found.to_value()) == found
