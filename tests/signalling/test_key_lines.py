import pytest

from agent.signalling.key_lines import has_keys, without_keys

SESSION = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nb=AS:64\r\nt=0 0\r\n"
KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\n"
MIKEY = b"a=key-mgmt:mikey AQAFgM\r\n"
PLAIN = b"m=audio 4000 RTP/AVP 8 0\r\na=ptime:20\r\n"
SAVP = b"m=audio 4002 RTP/SAVP 8\r\n"
VIDEO = b"m=video 4004 RTP/AVP 96\r\n"
DTLS = b"m=audio 4006 UDP/TLS/RTP/SAVP 8\r\na=fingerprint:sha-256 AB\r\n"


@pytest.mark.parametrize("key", [KEY, MIKEY, b"k=base64:c2VjcmV0\r\n", KEY[:-2]])
@pytest.mark.parametrize("section", [PLAIN, SAVP])
def test_keys_are_found_wherever_they_stand(key: bytes, section: bytes) -> None:
    assert not has_keys(SESSION + section)
    assert has_keys(SESSION + section + key)
    assert has_keys(SESSION + key.strip() + b"\r\n" + section)
    assert has_keys(SESSION.replace(b"\r", b"") + section + key)


def test_what_only_looks_like_a_key_is_none() -> None:
    assert not has_keys(SESSION + PLAIN + b"a=x-crypto:1\r\na=cryptology\r\n")


@pytest.mark.parametrize(
    ("offer", "kept"),
    [
        (SESSION + PLAIN + KEY + KEY, SESSION + PLAIN),
        (
            SESSION + PLAIN + KEY + b"a=sendrecv\r\n",
            SESSION + PLAIN + b"a=sendrecv\r\n",
        ),
        (SESSION + PLAIN + KEY[:-2], SESSION + PLAIN),
        (SESSION + MIKEY + PLAIN, SESSION + PLAIN),
        (SESSION + DTLS, SESSION + DTLS),
        (
            SESSION + SAVP + KEY + b"a=sendrecv\r\n" + PLAIN,
            SESSION + b"m=audio 0 RTP/SAVP 8\r\na=sendrecv\r\n" + PLAIN,
        ),
        (
            SESSION + PLAIN + SAVP.replace(b"4002", b"4002/2") + KEY + VIDEO + KEY,
            SESSION + PLAIN + b"m=audio 0/2 RTP/SAVP 8\r\n" + VIDEO,
        ),
        (
            SESSION + PLAIN + b"m=nonsense\r\n" + KEY,
            SESSION + PLAIN + b"m=nonsense\r\n",
        ),
    ],
)
def test_keys_go_and_all_else_stays(offer: bytes, kept: bytes) -> None:
    assert without_keys(offer) == kept
    assert not has_keys(kept)


@pytest.mark.parametrize(
    "offer",
    [
        SESSION,
        SESSION + SAVP + KEY,
        SESSION + SAVP.replace(b"SAVP", b"SAVPF") + KEY,
        SESSION + SAVP + KEY + VIDEO,
        SESSION + SAVP + KEY + PLAIN.replace(b"4000", b"0"),
    ],
)
def test_what_cannot_do_without_is_told(offer: bytes) -> None:
    assert without_keys(offer) is None
