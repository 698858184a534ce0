import random

from agent.formats.age.hybrid import HybridIdentity
from agent.formats.age.recipient import Identity, KeyKind, Recipient
from agent.formats.age.scrypt import PassphraseIdentity
from agent.formats.age.x25519 import X25519Identity


def test_every_kind_of_key_is_an_identity_with_a_recipient_of_its_kind() -> None:
    entropy = random.Random(1).randbytes
    identities: list[Identity] = [
        X25519Identity.generate(entropy),
        HybridIdentity.generate(entropy),
        PassphraseIdentity("open sesame"),
    ]
    for identity in identities:
        recipient: Recipient = identity.recipient()
        assert recipient.kind is identity.kind
        assert identity.kind in set(KeyKind)


def test_kinds_are_spelt_as_in_the_configuration() -> None:
    assert [kind.value for kind in KeyKind] == ["classic", "pq"]
