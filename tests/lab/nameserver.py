"""A small name server on 127.0.0.1, over UDP, with a zone that tests write."""

import asyncio

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from agent.model.media import Address


class NameServer(asyncio.DatagramProtocol):
    """Answers from `zone`: name and type to lines of RDATA.

    A name that is nowhere in it does not exist; one with another type has no such
    record. `broken` answers SERVFAIL to everything, `silent` nothing.
    """

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.ttl = 60
        self.broken = False
        self.silent = False
        self.asked: list[tuple[str, str]] = []
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> Address:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self._transport = transport
        host, port = transport.get_extra_info("sockname")
        return Address(host, port)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        type_ = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, type_))
        if self.silent or self._transport is None:
            return
        response = dns.message.make_response(query, recursion_available=True)
        lines = self.zone.get((name, type_), [])
        if self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif lines:
            response.answer.append(
                dns.rrset.from_text_list(question.name, self.ttl, "IN", type_, lines)
            )
        elif name not in {known for known, _ in self.zone}:
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), addr)
