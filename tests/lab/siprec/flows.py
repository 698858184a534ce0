"""What happens in the calls that a session recording client has recorded.

The flows are those of RFC 8068 section 3, and more that are met in the field. Each is
played by a client of its own, with a caller of its own, and leaves a `Take`: what was
said when, which the recordings are then held against.
"""

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from tests.lab.siprec import documents as doc
from tests.lab.siprec.scene import OFFICER, SECOND, TALK, Scene, Take
from tests.lab.siprec.site import EXEMPT, Site
from tests.patience import PATIENCE


class Flow(Protocol):
    """What happens in a call, and of which name that is."""

    __name__: str

    def __call__(self, scene: Scene) -> Awaitable[None]: ...


async def basic(scene: Scene) -> None:
    """Section 3.2: two parties, two streams."""
    await scene.begin(*scene.take.two())
    await scene.talk()
    await scene.end()


async def hold(scene: Scene) -> None:
    """Section 3.2: the caller is put on hold, and comes back."""
    caller, name = scene.take.caller, scene.take.name
    first, second = f"{name}-1", f"{name}-2"
    await scene.begin(*scene.take.two())
    await scene.talk()
    scene.direct("inactive", "inactive")
    scene.mark("held")
    nobody = doc.partial(doc.heard_on(caller), doc.heard_on(OFFICER))
    scene.keep(await scene.client.offer(nobody))
    await scene.talk()
    scene.direct("sendonly", "sendonly")
    both = doc.partial(
        doc.heard_on(caller, send=[first], recv=[second]),
        doc.heard_on(OFFICER, send=[second], recv=[first]),
    )
    scene.keep(await scene.client.offer(both))
    scene.mark("resumed")
    await scene.talk()
    await scene.end()


async def hold_told(scene: Scene) -> None:
    """The same, told by metadata alone: the client goes on sending what it hears."""
    caller, name = scene.take.caller, scene.take.name
    first, second = f"{name}-1", f"{name}-2"
    await scene.begin(*scene.take.two())
    await scene.talk()
    scene.mark("held")
    scene.keep(
        await scene.client.update(
            doc.partial(
                doc.heard_on(caller, recv=[second]),
                doc.heard_on(OFFICER, send=[second]),
            )
        )
    )
    await scene.talk()
    scene.keep(
        await scene.client.update(
            doc.partial(
                doc.heard_on(caller, send=[first], recv=[second]),
                doc.heard_on(OFFICER, send=[second], recv=[first]),
            )
        )
    )
    scene.mark("resumed")
    await scene.talk()
    await scene.end()


async def transfer(scene: Scene) -> None:
    """Section 3.2: another officer takes over, on the stream of the first."""
    await scene.begin(*scene.take.two())
    await scene.talk()
    await change_officers(scene)
    await scene.talk()
    await scene.end()


async def change_officers(scene: Scene) -> None:
    """The second officer takes over from the first."""
    name = scene.take.name
    scene.mark("transferred")
    changed = doc.partial(
        doc.participant(SECOND),
        doc.takes_part(SECOND, of=name),
        doc.takes_part(OFFICER, of=name, left=True),
        doc.heard_on(OFFICER),
        doc.heard_on(SECOND, send=[f"{name}-2"], recv=[f"{name}-1"]),
    )
    scene.keep(await scene.client.update(changed))


async def conference(scene: Scene) -> None:
    """A second officer joins, on a stream of their own."""
    name = scene.take.name
    await scene.begin(*scene.take.two())
    await scene.talk()
    scene.mark("joined")
    scene.client.add(scene.take.stream("3"))
    joined = doc.partial(
        doc.participant(SECOND),
        doc.stream(f"{name}-3", "3", of=name),
        doc.takes_part(SECOND, of=name),
        doc.heard_on(SECOND, send=[f"{name}-3"], recv=[f"{name}-1", f"{name}-2"]),
    )
    scene.keep(await scene.client.offer(joined))
    await scene.talk()
    await scene.end()


async def mixed(scene: Scene) -> None:
    """Section 3.3: both parties on one stream."""
    caller, name = scene.take.caller, scene.take.name
    one = [f"{name}-1"]
    await scene.begin(
        doc.session(name),
        doc.participant(caller),
        doc.participant(OFFICER),
        doc.stream(f"{name}-1", "1", of=name),
        doc.takes_part(caller, of=name),
        doc.takes_part(OFFICER, of=name),
        doc.heard_on(caller, send=one, recv=one),
        doc.heard_on(OFFICER, send=one, recv=one),
        labels=("1",),
    )
    await scene.talk()
    await scene.end()


async def persistent(scene: Scene) -> None:
    """Section 3.4: the recording session outlasts the calls in it."""
    scene.client.add(scene.take.stream("1"), scene.take.stream("2"))
    scene.direct("inactive", "inactive")
    scene.keep(await scene.client.record(doc.document()))
    await scene.talk(0.3)
    for call in ("first", "second"):
        word = f"{scene.take.name}-{call}"
        scene.direct("sendonly", "sendonly")
        parties = doc.two_parties(scene.take.caller, OFFICER, call=word)
        scene.keep(await scene.client.offer(doc.document(*parties)))
        scene.mark(call)
        await scene.talk()
        scene.direct("inactive", "inactive")
        scene.mark(f"{call} over")
        over = doc.partial(doc.session(word, stopped=True))
        scene.keep(await scene.client.offer(over))
        await scene.talk(0.3)
    scene.keep(await scene.client.bye())


async def turret(scene: Scene) -> None:
    """Section 3.5: an officer in two calls at once, heard in both by one stream."""
    caller, name = scene.take.caller, scene.take.name
    other = "sip:0408888888@trunk.example"
    one, two = f"{name}-one", f"{name}-two"
    mouth = [f"{name}-2"]
    await scene.begin(
        doc.group(f"{name}-group"),
        doc.session(one, of=f"{name}-group"),
        doc.session(two, of=f"{name}-group"),
        doc.participant(caller),
        doc.participant(OFFICER),
        doc.participant(other),
        doc.stream(f"{name}-1", "1", of=one),
        doc.stream(f"{name}-2", "2", of=one),
        doc.stream(f"{name}-3", "3", of=two),
        doc.takes_part(caller, of=one),
        doc.takes_part(OFFICER, of=one),
        doc.takes_part(OFFICER, of=two),
        doc.takes_part(other, of=two),
        doc.heard_on(caller, send=[f"{name}-1"], recv=mouth),
        doc.heard_on(OFFICER, send=mouth, recv=[f"{name}-1", f"{name}-3"]),
        doc.heard_on(other, send=[f"{name}-3"], recv=mouth),
        labels=("1", "2", "3"),
    )
    await scene.talk()
    await scene.end()


async def later(scene: Scene) -> None:
    """The officer's stream comes after the caller's."""
    await scene.begin(*scene.take.two(), labels=("1",))
    await scene.talk()
    scene.mark("joined")
    scene.client.add(scene.take.stream("2"))
    scene.keep(await scene.client.offer(doc.document(*scene.take.two())))
    await scene.talk()
    await scene.end()


async def party_change(scene: Scene) -> None:
    """Another recording session for another officer, tied by the group alone."""
    name = scene.take.name
    await scene.begin(*scene.take.two())
    await scene.talk()
    scene.mark("changed")
    scene.keep(await scene.client.bye())
    again = doc.two_parties(
        scene.take.caller, SECOND, call=f"{name}-again", together=name
    )
    scene.keep(await scene.client.record(doc.document(*again)))
    await scene.talk()
    scene.mark("end")
    scene.keep(await scene.client.bye())


async def offerless(scene: Scene) -> None:
    """The server is to offer; the metadata comes with the answer, in the ACK."""
    scene.client.add(scene.take.stream("1"), scene.take.stream("2"))
    scene.keep(await scene.client.record_without_offer(doc.document(*scene.take.two())))
    await scene.talk()
    await scene.end()


async def inactive_first(scene: Scene) -> None:
    """The very first offer is of streams on which nothing comes yet."""
    scene.client.add(scene.take.stream("1"), scene.take.stream("2"))
    scene.direct("inactive", "inactive")
    scene.keep(await scene.client.record(doc.document(*scene.take.two())))
    await scene.talk(0.4)
    scene.direct("sendonly", "sendonly")
    scene.keep(await scene.client.offer())
    await scene.talk()
    await scene.end()


async def two_laws(scene: Scene) -> None:
    """One party speaks A-law, the other mu-law."""
    scene.client.add(scene.take.stream("1"), scene.take.stream("2"))
    scene.take.streams[1].payload_type = 0
    scene.keep(await scene.client.record(doc.document(*scene.take.two())))
    await scene.talk()
    await scene.end()


async def new_source(scene: Scene) -> None:
    """The officer's stream comes from another source all of a sudden."""
    await scene.begin(*scene.take.two())
    await scene.talk()
    scene.mark("renewed")
    scene.take.streams[1].renew()
    await scene.talk()
    await scene.end()


async def over_tcp(scene: Scene) -> None:
    """The basic flow, over TCP."""
    await basic(scene)


async def over_tcp_again(scene: Scene) -> None:
    """The same; its connection breaks, and what is said next comes by another."""
    await scene.begin(*scene.take.two())
    await scene.talk()
    await scene.client.reconnect(0.2)
    scene.keep(await scene.client.offer(doc.document(*scene.take.two())))
    await scene.talk()
    await scene.client.reconnect(0.2)
    await scene.end()


async def over_tls(scene: Scene) -> None:
    """The basic flow over TLS, its media encrypted."""
    for label in ("1", "2"):
        stream = scene.take.stream(label)
        stream.secure = True
        scene.client.add(stream)
    scene.keep(await scene.client.record(doc.document(*scene.take.two())))
    await scene.talk()
    await scene.end()


async def laughs(scene: Scene) -> None:
    """A document that would be a billion laughs, if anybody read it."""
    scene.client.add(scene.take.stream("1"), scene.take.stream("2"))
    scene.keep(await scene.client.record(LAUGHS))
    await scene.talk()
    scene.mark("end")
    scene.keep(await scene.client.bye())


async def verbose(scene: Scene) -> None:
    """A document that is longer than most, and is kept to the last octet."""
    more = "".join(f'<more xmlns="urn:example:src">{n:064}</more>' for n in range(450))
    await scene.begin(*scene.take.two(inside=more))
    await scene.talk()
    await scene.end()


async def wrong_labels(scene: Scene) -> None:
    """Metadata of streams that are not offered."""
    await scene.begin(*scene.take.two(labels=("77", "78")))
    await scene.talk()
    await scene.end()


async def partial_first(scene: Scene) -> None:
    """A client that tells changes of what it never told, until it is asked."""
    scene.client.add(scene.take.stream("1"), scene.take.stream("2"))
    change = doc.partial(doc.heard_on(scene.take.caller, send=["x"]))
    scene.keep(await scene.client.record(change))
    async with asyncio.timeout(PATIENCE):
        asked = await scene.client.asked.get()
    scene.take.answers.append(asked)
    scene.keep(await scene.client.update(doc.document(*scene.take.two())))
    scene.mark("told")
    await scene.talk()
    await scene.end()


async def exempt(scene: Scene) -> None:
    """A number that is not to be recorded: everything is taken, nothing is kept."""
    await basic(scene)


async def exempt_late(scene: Scene) -> None:
    """The same number, of which the client tells once they have talked for a while."""
    scene.client.add(scene.take.stream("1"), scene.take.stream("2"))
    scene.keep(await scene.client.record())
    await scene.talk(2 * TALK)
    scene.keep(await scene.client.update(doc.document(*scene.take.two())))
    await scene.talk()
    await scene.end()


async def told_by_header(scene: Scene) -> None:
    """A header says that the notice was played."""
    scene.client.about += ("X-Notice: played at 08:00:01",)
    await basic(scene)


async def told_by_metadata(scene: Scene) -> None:
    """An element of the metadata says so."""
    told = '<announcement xmlns="urn:example:src">played</announcement>'
    await scene.begin(*scene.take.two(inside=told))
    await scene.talk()
    await scene.end()


async def untold(scene: Scene) -> None:
    """Nothing says that the notice was played, and it must have been."""
    await basic(scene)


async def untold_but_recorded(scene: Scene) -> None:
    """Nothing says so, and recording goes on by configuration."""
    await basic(scene)


LAUGHS = (
    b'<?xml version="1.0"?>\r\n<!DOCTYPE lolz [<!ENTITY lol0 "lol">'
    + b"".join(
        b'<!ENTITY lol%d "%s">' % (n, b"&lol%d;" % (n - 1) * 10) for n in range(1, 10)
    )
    + b']>\r\n<recording xmlns="urn:ietf:params:xml:ns:recording:1">'
    b"<datamode>complete</datamode><group>&lol9;</group></recording>\r\n"
)

FLOWS: dict[str, Flow] = {
    flow.__name__: flow
    for flow in (
        basic,
        hold,
        hold_told,
        transfer,
        conference,
        mixed,
        persistent,
        turret,
        later,
        party_change,
        offerless,
        inactive_first,
        two_laws,
        new_source,
        over_tcp,
        over_tcp_again,
        over_tls,
        laughs,
        verbose,
        wrong_labels,
        partial_first,
        exempt,
        exempt_late,
        told_by_header,
        told_by_metadata,
        untold,
        untold_but_recorded,
    )
}
SOURCE_OF = {
    "told_by_header": "header",
    "told_by_metadata": "metadata",
    "untold": "header",
    "untold_but_recorded": "careless",
}
"Of flows that are not the ordinary client's."
TRANSPORT_OF = {"over_tcp": "tcp", "over_tcp_again": "tcp", "over_tls": "tls"}


async def play(site: Site, flow: Flow, number: int) -> Take:
    """Play a flow from its beginning to its end, as the n-th."""
    name = flow.__name__
    caller = EXEMPT if flow in {exempt, exempt_late} else f"0401000{number:03}"
    client = site.client(
        SOURCE_OF.get(name, "sbc"), transport=TRANSPORT_OF.get(name, "udp")
    )
    await client.start()
    try:
        scene = Scene(Take(name, caller), client)
        await flow(scene)
    finally:
        await client.close()
    return scene.take
