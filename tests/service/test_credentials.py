from pathlib import Path

from agent.call.config import PeerConfig
from agent.model.media import Address
from agent.service.credentials import read_credentials
from agent.signalling.phones import PhoneLine, format_phones
from agent.signalling.secrets import Secrets
from agent.signalling.sip.authorization import ClientCredentials
from agent.signalling.sip.digest import Algorithm

US = Address("127.0.0.1", 5060)


def peer(name: str = "trunk", **fields: object) -> PeerConfig:
    defaults: dict[str, object] = {"match": ("192.0.2.1",), "uri": "sip:192.0.2.1:5070"}
    return PeerConfig(name=name, **(defaults | fields))  # type: ignore[arg-type]


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def test_all_that_peers_name_is_read(tmp_path: Path) -> None:
    write(tmp_path / "trunk.password", "s3cret\n")
    line = PhoneLine("201", "agency", Algorithm.MD5, "0" * 32)
    write(tmp_path / "phones.csv", format_phones([line]))
    peers = (
        peer("plain"),
        peer(
            username="agent",
            password_file="trunk.password",  # noqa: S106 - a file's name
            realm="r",
            register=True,
            register_expires=600,
        ),
        peer("phones", phones_file="phones.csv"),
    )
    mistakes: list[str] = []
    found = read_credentials(peers, Secrets(tmp_path, None), mistakes)
    assert mistakes == []
    assert found.ours == {"trunk": ClientCredentials("agent", "s3cret", "r")}
    assert found.users["phones"].realm == "agency"
    [account] = found.accounts
    assert str(account.aor) == "sip:agent@192.0.2.1"
    assert (account.peer, account.expires) == ("trunk", 600)
    assert str(account.registrar) == "sip:192.0.2.1:5070"
    assert "s3cret" not in repr(found)
    assert "agent" not in repr(account)


def test_an_address_of_record_may_be_given(tmp_path: Path) -> None:
    write(tmp_path / "p", "s3cret")
    one = peer(
        username="auth-name",
        password_file="p",  # noqa: S106 - a file's name
        register=True,
        aor="sip:0295000000@agency.example",
    )
    found = read_credentials([one], Secrets(tmp_path, None), [])
    assert str(found.accounts[0].aor) == "sip:0295000000@agency.example"
    assert found.accounts[0].features == ()


def test_who_has_us_record_beside_its_calls_is_told_so_where_we_register(
    tmp_path: Path,
) -> None:
    write(tmp_path / "p", "s3cret")
    one = peer(
        username="agent",
        password_file="p",  # noqa: S106 - a file's name
        register=True,
    )
    secrets = Secrets(tmp_path, None)
    found = read_credentials([one], secrets, [], recorded={one.name})
    assert found.accounts[0].features == ("+sip.srs",)


def test_every_mistake_is_named_by_its_place(tmp_path: Path) -> None:
    write(tmp_path / "p", "s3cret")
    write(tmp_path / "broken.csv", "s3cret")
    peers = (
        peer(username="a", password_file="none"),  # noqa: S106 - a file's name
        peer("b", phones_file="broken.csv"),
        peer("c", phones_file="credential:none"),
        peer("d", username="a", password_file="p", register=True, aor="nonsense"),  # noqa: S106
    )
    mistakes: list[str] = []
    read_credentials(peers, Secrets(tmp_path, None), mistakes)
    assert [mistake.partition(":")[0] for mistake in mistakes] == [
        "peers[0].password_file",
        "peers[1].phones_file",
        "peers[2].phones_file",
        "peers[3].register",
    ]
    assert "s3cret" not in str(mistakes)
