"""More that is met in the field: codecs of a wider band, metadata that comes late."""

import asyncio

from tests.lab.siprec import documents as doc
from tests.lab.siprec.flows import Flow
from tests.lab.siprec.scene import Scene
from tests.lab.siprec.streams import PT_G722, PT_OPUS


async def wide_band(scene: Scene) -> None:
    """The caller speaks Opus, the officer G.722, as two IP phones do."""
    scene.client.add(scene.take.stream("1"), scene.take.stream("2"))
    for stream, codec in zip(scene.take.streams, (PT_OPUS, PT_G722), strict=True):
        stream.payload_type, stream.seconds = codec, 10.0
        # A second's work, in which other flows go on.
        await asyncio.to_thread(lambda stream=stream: stream.payloads)
    scene.keep(await scene.client.record(doc.document(*scene.take.two())))
    await scene.talk()
    await scene.end()


async def told_later(scene: Scene) -> None:
    """The metadata comes in an UPDATE of its own, a moment after the answer."""
    scene.client.add(scene.take.stream("1"), scene.take.stream("2"))
    scene.keep(await scene.client.record(b""))
    await scene.talk(0.4)
    scene.mark("told")
    scene.keep(await scene.client.update(doc.document(*scene.take.two())))
    await scene.talk()
    await scene.end()


MORE_FLOWS: dict[str, Flow] = {flow.__name__: flow for flow in (wide_band, told_later)}
