import hashlib
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st

from agent.formats.sshsig import (
    BEGIN,
    ED25519_SK,
    END,
    MAX_ARMORED,
    MAX_KEY_TEXT,
    MAX_PRIVATE_FILE,
    Namespace,
    PublicKey,
    SignatureError,
    SigningKey,
    SshKeyError,
    parse_signature,
)
from tests.formats import ssh_keygen
from tests.formats.flips import flips

PAYLOAD = b'{"version":1}\n'
KEY = SigningKey.from_seed(ssh_keygen.SEED)
ROSTER = Namespace.ROSTER
MADE = KEY.sign(PAYLOAD, ROSTER)


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def armor(blob: bytes, columns: int = 70) -> str:
    text = b64encode(blob).decode()
    lines = [text[i : i + columns] for i in range(0, len(text), columns)]
    return "\n".join([BEGIN.decode().strip(), *lines, END.decode()])


def blob(**changes: bytes) -> bytes:
    """The parts of a good signature by KEY, or others in their place."""
    inner = string(b"ssh-ed25519") + string(b"s" * 64)
    parts = {
        "magic": b"SSHSIG",
        "version": (1).to_bytes(4, "big"),
        "key": string(KEY.public.blob()),
        "namespace": string(b"recording-agent-roster"),
        "reserved": string(b""),
        "hash": string(b"sha512"),
        "signature": string(inner),
        "rest": b"",
    }
    assert changes.keys() <= parts.keys()
    return b"".join((parts | changes).values())


def hardware(flags: int = 1, counter: int = 7) -> tuple[PublicKey, str]:
    """A security key's signature over PAYLOAD, as its firmware makes it."""
    private = Ed25519PrivateKey.from_private_bytes(ssh_keygen.SEED)
    key = PublicKey(ED25519_SK, KEY.public.point, b"ssh:")
    digest = hashlib.sha512(PAYLOAD).digest()
    message = b"SSHSIG" + b"".join(
        string(part) for part in (ROSTER.encode(), b"", b"sha512", digest)
    )
    count = counter.to_bytes(4, "big")
    signed = (
        hashlib.sha256(b"ssh:").digest()
        + bytes([flags])
        + count
        + hashlib.sha256(message).digest()
    )
    inner = string(ED25519_SK.encode()) + string(private.sign(signed))
    made = blob(
        key=string(key.blob()), signature=string(inner + bytes([flags]) + count)
    )
    return key, armor(made)


def test_ssh_keygen_believes_ours(tmp_path: Path) -> None:
    armored = KEY.sign(PAYLOAD, ROSTER)
    assert ssh_keygen.verifies(KEY.public, PAYLOAD, armored, ROSTER, tmp_path)
    assert ssh_keygen.is_signature(PAYLOAD, armored, tmp_path)
    assert not ssh_keygen.verifies(KEY.public, b"else\n", armored, ROSTER, tmp_path)
    seal = KEY.sign(PAYLOAD, Namespace.SEAL)
    assert not ssh_keygen.verifies(KEY.public, PAYLOAD, seal, ROSTER, tmp_path)


@pytest.mark.parametrize("options", [(), ("-O", "hashalg=sha256")])
def test_we_believe_ssh_keygens(tmp_path: Path, options: tuple[str, ...]) -> None:
    private = ssh_keygen.make_key(tmp_path)
    public = ssh_keygen.public_key(private)
    armored = ssh_keygen.sign(private, ROSTER, PAYLOAD, *options)
    public.verify(PAYLOAD, armored, ROSTER)
    assert public.fingerprint == ssh_keygen.fingerprint(private)
    with pytest.raises(SignatureError, match="not over these bytes"):
        public.verify(b"else\n", armored, ROSTER)
    with pytest.raises(SignatureError, match="not for a recording-agent-seal document"):
        public.verify(PAYLOAD, armored, Namespace.SEAL)
    with pytest.raises(SignatureError, match="by another key"):
        KEY.public.verify(PAYLOAD, armored, ROSTER)


def test_one_key_in_a_file_of_ssh_keygens_signs_alike(tmp_path: Path) -> None:
    private = ssh_keygen.make_key(tmp_path)
    ours = SigningKey.from_private_file(private.read_bytes())
    assert ours.public == ssh_keygen.public_key(private)
    assert SigningKey.from_private_file(ours.to_private_file()).public == ours.public
    # Ed25519 is deterministic: the same bytes, to the last line feed.
    assert ours.sign(PAYLOAD, ROSTER) == ssh_keygen.sign(private, ROSTER, PAYLOAD)


def test_a_security_keys_signature_counts_if_it_was_touched(tmp_path: Path) -> None:
    key, armored = hardware()
    key.verify(PAYLOAD, armored, ROSTER)
    assert ssh_keygen.verifies(key, PAYLOAD, armored, ROSTER, tmp_path)
    assert parse_signature(armored.encode()).counter == 7
    with pytest.raises(SignatureError, match="not over these bytes"):
        key.verify(b"else\n", armored, ROSTER)
    key, armored = hardware(flags=0)
    with pytest.raises(SignatureError, match="Nobody touched"):
        key.verify(PAYLOAD, armored, ROSTER)


def test_what_protocol_sshsig_says_of_line_lengths_is_read_as_well() -> None:
    signature = parse_signature(armor(blob(), columns=76).encode())
    assert signature.key == KEY.public


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (blob(magic=b"SSHSIH"), "something else than an SSH signature"),
        (blob(version=(2).to_bytes(4, "big")), "unknown version"),
        (blob(key=string(b"")), "malformed"),
        (blob(key=string(string(b"ssh-rsa") + string(b"x"))), "kind that is not used"),
        (blob(key=string(KEY.public.blob() + b"x")), "malformed"),
        (blob(key=string(string(b"ssh-ed25519") + string(b"x" * 31))), "malformed"),
        (blob(reserved=string(b"x")), "reserved"),
        (blob(hash=string(b"sha1")), "hash other than"),
        (blob(signature=string(string(b"ssh-rsa"))), "of different kinds"),
        (
            blob(signature=string(string(b"ssh-ed25519") + string(b"s" * 63))),
            "not of 64 bytes",
        ),
        (
            blob(
                signature=string(string(b"ssh-ed25519") + string(b"s" * 64) + b"x"),
            ),
            "malformed",
        ),
        (blob(rest=b"x"), "malformed"),
        (blob(namespace=b"\xff\xff\xff\xff"), "malformed"),
        (b"", "something else|malformed"),
    ],
)
def test_a_malformed_signature_is_refused(made: bytes, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        parse_signature(armor(made).encode())


def test_every_cut_is_refused() -> None:
    whole = blob()
    for end in range(len(whole)):
        with pytest.raises(SignatureError):
            parse_signature(armor(whole[:end]).encode())


@pytest.mark.parametrize(
    "armored",
    [
        "",
        MADE.replace("BEGIN", "BEGUN"),
        MADE.removesuffix("\n"),
        MADE.replace("\n", "\r\n"),
        MADE + "x",
        MADE.replace("\nU1NI", "\nU1*I"),
        MADE.replace("\nU1NI", "\n\nU1NI"),
        armor(blob(), columns=64),
        MADE[:100],
        armor(blob() + b"x").replace("=\n", "\n"),
        MADE[:40] + "A" * MAX_ARMORED + MADE[40:],
    ],
)
def test_a_malformed_armor_is_refused(armored: str) -> None:
    with pytest.raises(SignatureError):
        parse_signature(armored.encode())


def test_every_flipped_bit_of_a_signature_is_refused() -> None:
    for armored in (MADE.encode(), hardware()[1].encode()):
        for flipped in flips(armored):
            with pytest.raises(SignatureError):
                parse_signature(flipped).verify(PAYLOAD, ROSTER)


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    for armored in (data, armor(data).encode(), armor(b"SSHSIG" + data).encode()):
        with pytest.raises(SignatureError):
            parse_signature(armored).verify(PAYLOAD, ROSTER)


def test_a_public_key_is_its_text_without_the_comment() -> None:
    text = str(KEY.public)
    assert PublicKey.parse(f" {text} somebody@host\n") == KEY.public
    assert str(PublicKey.parse(text)) == text
    key, _ = hardware()
    assert PublicKey.parse(str(key)) == key
    assert len({key, KEY.public, PublicKey.parse(text)}) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "This is not a kind"),
        ("ssh-ed25519", "malformed"),
        ("ssh-ed25519 !", "base64 is malformed"),
        ("ssh-ed25519 é", "base64 is malformed"),
        ("ssh-ed25519 AAAA", "malformed"),
        ("ssh-rsa AAAA", "^ssh-rsa is not a kind"),
        ("ecdsa-sha2-nistp256 AAAA", "^ecdsa-sha2-nistp256 is not a kind"),
        ("AGE-SECRET-KEY-1XYZ", "^This is not a kind"),
        ("sk-ssh-ed25519@openssh.com " + str(KEY.public)[12:], "not as ssh-keygen"),
        ("x" * (MAX_KEY_TEXT + 1), "too long"),
    ],
)
def test_a_text_that_is_no_public_key_is_refused(text: str, reason: str) -> None:
    with pytest.raises(SshKeyError, match=reason):
        PublicKey.parse(text)


def test_private_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    rsa = ssh_keygen.make_key(tmp_path, "-b", "2048", kind="rsa")
    protected = ssh_keygen.make_key(tmp_path, "-N", "secret passphrase")
    with pytest.raises(SshKeyError, match="kind that is not used"):
        SigningKey.from_private_file(rsa.read_bytes())
    for data in (protected.read_bytes(), b"", b"-----BEGIN"):
        with pytest.raises(SshKeyError, match="not a private key file"):
            SigningKey.from_private_file(data)
    with pytest.raises(SshKeyError, match="too long"):
        SigningKey.from_private_file(b"x" * (MAX_PRIVATE_FILE + 1))


def test_a_secret_key_does_not_show_itself() -> None:
    assert "private" not in repr(KEY).lower()
