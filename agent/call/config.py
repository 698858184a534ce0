"""`[[peers]]` and `[[routes]]`: who may send calls, and what becomes of them."""

import ipaddress
from typing import Final, Literal

import msgspec

from agent.model.media import CODECS
from agent.signalling.sip.digest import is_quotable
from agent.signalling.sip.registration import MAX_EXPIRES


class PeerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trunk, a PBX or the officers' phones: who may send us calls."""

    name: str
    match: tuple[str, ...]
    """Source addresses (`127.0.0.1:5080`), hosts (`127.0.0.1`), networks, or a name in
    its TLS certificate (`tls:pbx.example`). A port counts over UDP only."""
    uri: str = ""
    "Where calls for it go."
    trusted: bool = False
    "Whether its P-Asserted-Identity is believed (RFC 3325 section 5)."
    latch: Literal["off", "address", "any"] = "address"
    "Whence its RTP is believed; `any` for NATs only."
    media_address: str = ""
    "Local media address towards this peer; empty: that of `[media]`."
    advertised: str = ""
    "Media address told to this peer, where a NAT stands between."
    early_media: Literal["any", "reliable", "never"] = "any"
    "Whether it can hear us before our answer: only with 100rel, or not at all."
    redirect: Literal["known", "any"] = "known"
    """Where its 3xx may send a call on to, always at a configured peer: to numbers that
    some route names and to officers, or to any number."""
    may_transfer: bool = False
    "Whether its REFERs are obeyed also where it is not an officer's leg."
    srtp: Literal["require", "offer", "never"] = "offer"
    """Whether its media is encrypted: always, where both sides can, or not at all.
    Keys are exchanged over TLS only."""
    max_calls: int = 0
    "Calls at once from this peer, emergency calls apart; 0: no limit."
    certificate: str = ""
    "The name its certificate must bear when we connect to `uri`, if not the host's."
    max_connections: int = 100
    "TCP and TLS connections at once from this peer; 0: no limit."
    max_rate: float = 2000.0
    "Messages a second from this peer, calls to emergency numbers apart; 0: no limit."
    max_transactions: int = 5000
    "Requests of this peer under way, emergency calls apart; 0: no limit."
    probe: float = 0.0
    "Seconds between the OPTIONS that tell whether it is there; 0: it is not asked."

    username: str = ""
    "What it knows us by, where it asks us for a password."
    password_file: str = ""
    "That password: the first line of a file, or `credential:NAME` of systemd."
    realm: str = ""
    "The only realm of it that is told; empty: whichever it names."
    register: bool = False
    "Whether its registrar, at `uri`, is to be told where we are."
    register_expires: int = 3600
    "Seconds a registration is asked to last; it is renewed before."
    aor: str = ""
    "Address of record that is registered; empty: the username at the host of `uri`."
    phones_file: str = ""
    "Who must prove to be one of its users: a phones file, or `credential:NAME`."

    def __post_init__(self) -> None:
        for entry in self.match:
            if certificate_name(entry) is None:
                parse_match(entry)
        if bool(self.username) != bool(self.password_file):
            raise ValueError("username and password_file go together")
        if not is_quotable(self.username or "-") or not is_quotable(self.realm or "-"):
            raise ValueError("username and realm hold no quotes and backslashes")
        if self.register and not (self.username and self.uri):
            raise ValueError("register needs a username, a password_file and a uri")
        if not 60 <= self.register_expires <= MAX_EXPIRES:
            raise ValueError(f"register_expires must be 60 to {MAX_EXPIRES}")
        if self.probe and not self.uri:
            raise ValueError("probe asks at uri, and there is none")
        if self.certificate and not self.uri:
            raise ValueError("certificate is for connecting to uri, and there is none")


MAX_PAUSE: Final = 3600.0
"Seconds: what is longer is a call that is not recorded, and ought to say so."


class RouteConfig(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"from_": "from"},
):
    """What becomes of the calls one peer sends to one number."""

    name: str
    from_: str
    "Name of the peer that sends them."
    number: str
    "The called number; a trailing * matches a prefix."
    direction: Literal["inbound", "outbound"]
    to: tuple[str, ...]
    "SIP URIs of officers, or names of peers (the called number is kept)."
    hunt: Literal["sequential", "parallel"] = "sequential"
    "Whether targets ring one after the other, or all at once."
    ring_timeout: float = 20.0
    "Seconds one target may ring, or all that ring together."
    overflow: str = ""
    "One more target, after all others; who answers there counts as an officer."
    officer_answer: Literal["leg", "connected-identity"] = "leg"
    "What says that an officer has answered: the leg, or who it says is there now."
    notice: tuple[str, ...] = ()
    "Notice files, played one after the other to the end."
    notice_mode: Literal["answered", "early"] = "answered"
    "Whether the caller is answered first, or hears the notice in early media."
    on_notice_failure: Literal["refuse", "unrecorded"] = "refuse"
    on_recording_failure: Literal["refuse", "unrecorded"] = "unrecorded"
    max_pause: float = 0.0
    "Seconds for which a command may pause the recording of a call; 0: never."
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    "In order of preference."
    ringback: bool = True
    "Whether a waiting caller hears the ringback tone."
    test: bool = False
    "Whether its calls are `recording-agent simulate`'s, and no customer's."
    busy_tone: float = 5.0
    "Seconds of busy or congestion tone before an unanswered caller is cleared."

    def __post_init__(self) -> None:
        unknown = [name for name in self.codecs if name not in CODECS]
        if unknown or not self.codecs:
            known = ", ".join(CODECS)
            raise ValueError(f"codecs must name some of: {known}")
        if not self.to:
            raise ValueError("to must name at least one target")
        if self.notice_mode == "early" and self.direction == "outbound":
            raise ValueError("notice_mode: a customer hears no notice before answering")
        if not self.notice:
            raise ValueError("notice must name at least one file")
        if not 0 <= self.max_pause <= MAX_PAUSE:
            raise ValueError(f"max_pause must be 0 to {MAX_PAUSE:.0f} seconds")
        if "*" in self.number[:-1]:
            raise ValueError("number may hold one *, at its end")


class ToneConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tones]`: what a waiting or refused caller hears; the Finnish cadences."""

    frequency: float = 425.0
    "Hertz."
    ringback: tuple[float, float] = (1.0, 4.0)
    "Seconds on, seconds off."
    busy: tuple[float, float] = (0.3, 0.3)
    congestion: tuple[float, float] = (0.2, 0.2)
    "Where a network failed, or knows no way to the number."


TLS_MATCH: Final = "tls:"


def certificate_name(entry: str) -> str | None:
    """The certificate's name in a `match` entry, if it is of that kind.

    Raises ValueError if it is and names nothing.
    """
    if not entry.startswith(TLS_MATCH):
        return None
    name = entry.removeprefix(TLS_MATCH).lower()
    if not name or "*" in name:
        raise ValueError(f"match entry {entry!r} is no whole name of a certificate")
    return name


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_match(entry: str) -> tuple[Network, int | None]:
    """The network of one `match` entry, and its port if it names one.

    Raises ValueError, naming the entry.
    """
    host, port = entry, ""
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        port = port.removeprefix(":")
    elif entry.count(":") == 1:
        host, port = entry.split(":")
    try:
        network = ipaddress.ip_network(host, strict=False)
        number = int(port) if port else None
    except ValueError as error:
        raise ValueError(
            f"match entry {entry!r} is no address, address:port or network"
        ) from error
    return network, number
