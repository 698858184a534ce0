"""The flows of RFC 8068 with the RFC's own documents, where they are at hand.

Of the people in them Alice and Carol are our officers 201 and 202, and Bob rings. The
documents name streams of sound and of picture; pictures are declined.
"""

import re
from pathlib import Path

from tests.lab.siprec.flows import Flow
from tests.lab.siprec.messages import Message
from tests.lab.siprec.scene import Scene

_PEOPLE = (
    (rb"sip:alice@atlanta\.com", b"sip:201@agency.example"),
    (rb"sip:carol@example\.com", b"sip:202@agency.example"),
)


def rfc_flows(folder: Path) -> dict[str, Flow]:
    """The flows by name; their documents are in `folder`."""

    def document(scene: Scene, number: int) -> bytes:
        text = (folder / f"rfc8068-metadata-{number:02}.xml").read_bytes()
        bob = (rb"sip:bob@biloxy\.com", scene.take.caller.encode())
        for there, ours in (*_PEOPLE, bob):
            text = re.sub(rb"(?i)" + there, ours, text)
        return text

    async def record(scene: Scene, number: int) -> Message:
        return await scene.client.record(document(scene, number))

    async def tell(scene: Scene, number: int) -> None:
        """Offer the streams as they are now, with a document."""
        scene.mark(str(number))
        scene.keep(await scene.client.offer(document(scene, number)))
        await scene.talk()

    async def rfc_separate(scene: Scene) -> None:
        """Section 3.2: basic call, hold, resume, transfer, disconnect."""
        for label, kind in (("96", ""), ("97", "v"), ("98", ""), ("99", "v")):
            stream = scene.take.stream(label)
            if kind:
                stream.kind, stream.payload_type = "video", 31
            scene.client.add(stream)
        scene.keep(await record(scene, 1))
        await scene.talk()
        scene.direct("inactive", "inactive", "sendonly", "sendonly")
        await tell(scene, 2)
        scene.direct("sendonly", "sendonly", "sendonly", "sendonly")
        await tell(scene, 3)
        await tell(scene, 4)
        await bye(scene, 5)

    async def rfc_mixed(scene: Scene) -> None:
        """Section 3.3: all on one stream; a third party joins, the first leaves."""
        scene.client.add(scene.take.stream("96"))
        scene.keep(await record(scene, 8))
        await scene.talk()
        for number in (9, 10, 11, 12):
            await tell(scene, number)
        await bye(scene, 13)

    async def rfc_turret(scene: Scene) -> None:
        """Section 3.5: two calls on one stream."""
        scene.client.add(scene.take.stream("96"))
        scene.keep(await record(scene, 14))
        await scene.talk()
        scene.mark("end")
        scene.keep(await scene.client.bye())

    async def bye(scene: Scene, number: int) -> None:
        scene.mark("end")
        scene.keep(await scene.client.bye(document(scene, number)))

    flows = (rfc_separate, rfc_mixed, rfc_turret)
    return {flow.__name__: flow for flow in flows}
