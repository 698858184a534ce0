import pytest

from agent.call.config import PeerConfig, RouteConfig
from agent.call.routing import NoRouteError, RouteTable, Step
from agent.identity.numbers import IdentityConfig
from agent.model.call import CallDirection
from agent.model.media import Address
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.uri import parse_uri

TRUNK = PeerConfig(name="trunk", match=("192.0.2.0/24",), uri="sip:192.0.2.9:5080")
SBC = PeerConfig(name="sbc", match=("192.0.2.7:5070",))
HOST = PeerConfig(name="host", match=("192.0.2.7", "tls:PBX.example"))
OFFICERS = PeerConfig(name="officers", match=("198.51.100.0/24",))


def route(name: str, number: str, direction: str, **fields: object) -> RouteConfig:
    defaults: dict[str, object] = {"to": ("sip:201@198.51.100.1",), "notice": ("f",)}
    return RouteConfig(
        name=name,
        number=number,
        direction=direction,  # type: ignore[arg-type]
        **({"from_": "trunk"} | defaults | fields),  # type: ignore[arg-type]
    )


ROUTES = (
    route("service", "0295000000", "inbound", overflow="sip:900@198.51.100.9"),
    route("prefix", "0295*", "inbound"),
    route("longer", "02951*", "inbound"),
    route("out", "*", "outbound", from_="officers", to=("trunk",)),
)


def table(routes: tuple[RouteConfig, ...] = ROUTES) -> RouteTable:
    return RouteTable(
        (TRUNK, SBC, HOST, OFFICERS),
        routes,
        emergency=("112",),
        exempt=("0800123456",),
        identity=IdentityConfig(),
    )


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [
        ("192.0.2.1", 5060, "trunk"),
        ("192.0.2.7", 5060, "host"),
        ("192.0.2.7", 5070, "sbc"),
        ("198.51.100.3", 1, "officers"),
        ("203.0.113.1", 5060, None),
        ("2001:db8::1", 5060, None),
    ],
)
def test_the_most_particular_match_wins(host: str, port: int, name: str | None) -> None:
    remote = Address(host, port)
    peer = table().peer_of(Flow("udp", Address("192.0.2.250", 5060), remote))
    assert (peer.name if peer else None) == name


def test_a_connection_is_its_certificates_or_its_hosts() -> None:
    def found(host: str, *names: str) -> str | None:
        local, remote = Address("192.0.2.250", 5061), Address(host, 40000)
        flow = Flow("tls", local, remote, inbound=True, certificate=names)
        peer = table().peer_of(flow)
        return peer.name if peer else None

    assert found("203.0.113.1", "other.example", "pbx.example") == "host"
    assert found("198.51.100.3", "pbx.example") == "host"
    assert found("198.51.100.3", "other.example") == "officers"
    assert found("203.0.113.1", "other.example") is None
    assert found("192.0.2.7") == "sbc"  # its port is nobody's listener


def test_an_emergency_number_is_known_as_it_is_dialled() -> None:
    for called in ("112", "1-1-2", "112;phone-context=x"):
        assert table().is_emergency(called)
    for called in ("", "1120", "0112", "911"):
        assert not table().is_emergency(called)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("sip:0401234567@192.0.2.9:5080", "trunk"),
        ("sip:0401234567@192.0.2.9:5081", "officers"),
        ("sips:0401234567@192.0.2.9:5080", "officers"),
        ("sip:0401234567@192.0.2.9:5080;transport=tls", "officers"),
        ("sip:201@198.51.100.3", "officers"),
    ],
)
def test_a_call_to_a_peers_uri_is_for_that_peer(uri: str, name: str) -> None:
    # Wherever the name service led to.
    flow = Flow("udp", Address("192.0.2.250", 5060), Address("198.51.100.3", 5080))
    peer = table().peer_towards(parse_uri(uri), flow)
    assert peer is not None
    assert peer.name == name


def test_others_count_at_once_and_who_is_down_stays_so() -> None:
    routes = table()
    routes.is_down = lambda peer: peer == "trunk"
    routes.replace(
        (HOST,),
        (route("new", "1", "inbound", from_="host"),),
        emergency=("110",),
        exempt=(),
        identity=IdentityConfig(),
    )
    assert routes.peer_named("trunk") is None
    assert not routes.is_emergency("112")
    assert routes.is_emergency("110")
    assert routes.plan(HOST, "1", "").route.name == "new"
    assert routes.is_down("trunk")


def test_peers_are_found_by_name() -> None:
    assert table().peer_named("sbc") is SBC
    assert table().peer_named("nobody") is None


@pytest.mark.parametrize(
    ("called", "name"),
    [("0295000000", "service"), ("0295000001", "prefix"), ("0295100000", "longer")],
)
def test_an_exact_number_beats_a_longer_prefix_beats_a_shorter(
    called: str, name: str
) -> None:
    plan = table().plan(TRUNK, called, "+358401234567")
    assert plan.route.name == name
    assert plan.direction is CallDirection.INBOUND
    assert plan.steps == (Step.ANSWER, Step.ANNOUNCE, Step.CONNECT)
    assert not plan.exempt


def test_overflow_is_the_last_target() -> None:
    plan = table().plan(TRUNK, "0295000000", "1")
    assert plan.targets == ("sip:201@198.51.100.1", "sip:900@198.51.100.9")


def test_a_peer_as_target_keeps_the_called_number() -> None:
    plan = table().plan(OFFICERS, "0401234567", "201")
    assert plan.targets == ("sip:0401234567@192.0.2.9:5080",)
    assert plan.steps == (Step.CONNECT, Step.ANSWER, Step.ANNOUNCE)


@pytest.mark.parametrize(
    ("called", "caller"),
    [("0800123456", "201"), ("+358800123456", "201"), ("0401", "+358800123456")],
)
def test_exempt_numbers_match_either_side_in_any_form(called: str, caller: str) -> None:
    plan = table().plan(OFFICERS, called, caller)
    assert plan.exempt
    assert not plan.emergency
    assert plan.steps == (Step.CONNECT, Step.ANSWER)


def test_emergency_matches_before_any_route_and_needs_none_of_its_own() -> None:
    assert table().plan(OFFICERS, "112", "201").emergency
    plan = table().plan(TRUNK, "112", "201")  # no route of the trunk's matches
    assert plan.emergency
    assert plan.targets == ("sip:112@192.0.2.9:5080",)


@pytest.mark.parametrize(
    "dialled", ["112", "1-1-2", "112;phone-context=+358", "1 1 2;user=phone"]
)
def test_112_is_112_however_it_is_written(dialled: str) -> None:
    plan = table().plan(OFFICERS, dialled, "201")
    assert plan.emergency
    assert plan.targets == ("sip:112@192.0.2.9:5080",)


def test_a_name_keeps_its_dots() -> None:
    named = route("named", "first.name", "inbound")
    assert table((named,)).plan(TRUNK, "first.name", "1").route is named


def test_no_route() -> None:
    with pytest.raises(NoRouteError):
        table().plan(SBC, "0295000000", "1")
    with pytest.raises(NoRouteError):
        table(ROUTES[:3]).plan(SBC, "112", "1")


@pytest.mark.parametrize(
    ("dialled", "target"),
    [
        ("a@b", "sip:a%40b@192.0.2.9:5080"),
        ("0 > 1", "sip:0%20%3E%201@192.0.2.9:5080"),
        ("\ufffd\u00e4", "sip:%EF%BF%BD%C3%A4@192.0.2.9:5080"),
        ("", "sip:192.0.2.9:5080"),
    ],
)
def test_whatever_was_dialled_makes_a_uri(dialled: str, target: str) -> None:
    plan = table().plan(OFFICERS, dialled, "withheld")
    assert plan.rounds == ((target,),)
    assert (parse_uri(target).user or "") == dialled


def test_targets_of_a_parallel_route_are_one_round_and_the_overflow_another() -> None:
    to = ("sip:201@198.51.100.1", "sip:202@198.51.100.2")
    routes = (
        route("s", "1", "inbound", to=to, hunt="parallel", overflow="sip:9@h"),
        route("t", "2", "inbound", to=to),
    )
    assert table(routes).plan(TRUNK, "1", "x").rounds == (to, ("sip:9@h",))
    plan = table(routes).plan(TRUNK, "2", "x")
    assert plan.rounds == (to[:1], to[1:])
    assert plan.targets == to


ANY = PeerConfig(name="any", match=("192.0.2.200",), redirect="any")


def redirected(
    uri: str, by: PeerConfig | None = OFFICERS, called: str = "0401234567"
) -> bool:
    """Whether a call is followed there; 202 is an officer."""
    routes = table()
    plan = routes.plan(OFFICERS, called, "")
    found = routes.reachable(
        [parse_uri(uri)], plan, by, is_officer=lambda number: number == "202"
    )
    assert found in ([], [uri])
    return bool(found)


@pytest.mark.parametrize(
    ("uri", "leads"),
    [
        ("sip:0401234567@198.51.100.7", True),
        ("sips:0401234567@198.51.100.7:5061", True),
        ("sip:0401234567@192.0.2.9", True),
        ("sip:0401234567@trunk.example", False),
        ("sip:0401234567@203.0.113.5", False),
        ("tel:0401234567", False),
        ("http://198.51.100.7", False),
    ],
)
def test_a_redirection_leads_to_a_peer_or_nowhere(uri: str, *, leads: bool) -> None:
    assert redirected(uri, ANY) == leads


@pytest.mark.parametrize(
    ("number", "follows"),
    [
        ("201", True),  # a route rings it
        ("900", True),  # and this one, if nobody else answers
        ("202", True),  # an officer
        ("0401234567", False),  # a phone may dial it, not have it dialled at our cost
        ("trunk", False),
        ("", False),
    ],
)
def test_a_redirection_leads_to_known_numbers(number: str, *, follows: bool) -> None:
    uri = f"sip:{number}@192.0.2.9" if number else "sip:192.0.2.9"
    assert redirected(uri) == follows
    assert redirected(uri, None) == follows
    assert redirected(uri, ANY)


def test_an_emergency_call_is_redirected_as_it_must_be() -> None:
    assert redirected("sip:0401234567@192.0.2.9", called="112")
    assert not redirected("sip:0401234567@203.0.113.5", called="112")


@pytest.mark.parametrize(
    "number",
    [
        *("112", "1-1-2", "+358112", "00358112", "+358 112;ext=1"),
        *("0800123456", "+358800123456"),
    ],
)
def test_who_is_exempt_is_so_however_others_write_it(number: str) -> None:
    assert table().is_exempt(number)
    assert not table().is_exempt(number.replace("1", "7"))


@pytest.mark.parametrize("number", ["112", "1-1-2", "0800123456", "+358800123456"])
def test_a_recorded_call_is_redirected_to_nobody_exempt(number: str) -> None:
    uri = f"sip:{number}@192.0.2.9"
    assert not redirected(uri, ANY)
    assert redirected(uri, ANY, called="0800123456")


@pytest.mark.parametrize("number", ["112", "0800123456", "+358800123456"])
def test_who_is_exempt_is_so_as_the_target_of_a_transfer_too(number: str) -> None:
    uri = parse_uri(f"sip:{number}@h")
    staff = (route("hotline", "1", "inbound", to=(f"sip:{number}@198.51.100.1",)),)
    for routes in (ROUTES, (*staff, *ROUTES)):
        found = table(routes).destination(OFFICERS, uri, is_officer=lambda _: True)
        assert (found.staff, found.exempt) == (False, True)
    uri = parse_uri("sip:0401234567@h")
    found = table().destination(OFFICERS, uri, is_officer=lambda _: True)
    assert (found.staff, found.exempt) == (True, False)


def test_a_peer_with_a_name_is_led_to_by_that_name() -> None:
    named = PeerConfig(name="n", match=("192.0.2.1",), uri="sip:trunk.example")
    peers = RouteTable((named,), (), emergency=(), exempt=(), identity=IdentityConfig())
    uri = parse_uri("sip:1@TRUNK.example")
    plan = table().plan(TRUNK, "0295000000", "")
    assert peers.reachable([uri], plan, ANY, is_officer=lambda _: False)


# -- peers that are down ------------------------------------------------------------


def rounds(
    down: set[str], number: str, from_: PeerConfig = TRUNK, **fields: object
) -> tuple[tuple[str, ...], ...]:
    pbx = PeerConfig(name="pbx", match=(), uri="sip:192.0.2.20:5070")
    found = RouteTable(
        (TRUNK, pbx),
        (
            route(
                "r",
                "*",
                "outbound",
                to=("pbx", "trunk", "sip:9@192.0.2.20:5070"),
                **fields,
            ),
        ),
        emergency=("112",),
        exempt=(),
        identity=IdentityConfig(),
    )
    found.is_down = lambda name: name in down
    return found.plan(from_, number, "").rounds


PBX, OUT, DESK = (
    "sip:5@192.0.2.20:5070",
    "sip:5@192.0.2.9:5080",
    "sip:9@192.0.2.20:5070",
)
LAST = "sip:900@198.51.100.9"


def test_targets_of_peers_that_are_down_come_last() -> None:
    assert rounds(set(), "5") == ((PBX,), (OUT,), (DESK,))
    assert rounds({"pbx"}, "5") == ((OUT,), (PBX,), (DESK,))
    assert rounds({"pbx"}, "5", overflow=LAST) == ((OUT,), (LAST,), (PBX,), (DESK,))
    assert rounds({"pbx"}, "5", hunt="parallel") == ((OUT,), (PBX, DESK))
    assert rounds({"pbx", "trunk"}, "5") == ((PBX,), (OUT,), (DESK,))


def test_an_emergency_call_takes_nobodys_word_for_it() -> None:
    first = rounds({"pbx"}, "112")[0]
    assert first == ("sip:112@192.0.2.20:5070",)


HOUSE = PeerConfig(name="pbx", match=("203.0.113.0/24",), uri="sip:203.0.113.9")
TRANSFERS = (
    *ROUTES,
    route("pbx-out", "*", "outbound", from_="pbx", to=("trunk",)),
    route("pbx-queue", "700", "inbound", from_="pbx"),
)


@pytest.mark.parametrize(
    ("to", "target", "staff"),
    [
        ("sip:201@192.0.2.1", "sip:201@198.51.100.1", True),
        ("sip:900@192.0.2.1", "sip:900@198.51.100.9", True),
        ("sip:203@192.0.2.1", "sip:203@203.0.113.9", True),
        ("sip:700@192.0.2.1", "sip:201@198.51.100.1", True),
        ("tel:0401234567", "sip:0401234567@192.0.2.9:5080", False),
        ("sip:112@192.0.2.1", "sip:112@192.0.2.9:5080", False),
        # An exempt number is no officer's, whatever the directory says.
        ("sip:0800123456@192.0.2.1", "sip:0800123456@192.0.2.9:5080", False),
    ],
)
def test_where_a_transfer_leads(to: str, target: str, *, staff: bool) -> None:
    routes = RouteTable(
        (TRUNK, OFFICERS, HOUSE),
        TRANSFERS,
        emergency=("112",),
        exempt=("0800123456",),
        identity=IdentityConfig(),
    )
    destination = routes.destination(
        HOUSE, parse_uri(to), is_officer=lambda number: number in {"203", "0800123456"}
    )
    assert destination.rounds[0] == (target,)
    assert destination.staff is staff
    assert destination.emergency is ("112" in to)
