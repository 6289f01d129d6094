"""A name service of our own on loopback, by UDP: answers from a table, and says of all else that there is none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from typing import Final, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

HOST: Final = "127.0.0.1"


class NameServer:
    """``records``: (name, kind) to (seconds, values). A question of ``broken`` is answered with SERVFAIL."""

    def __init__(self, records: Mapping[tuple[str, str], tuple[int, list[str]]], broken: str = "") -> None:
        self.records = dict(records)
        self.broken = broken
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *stopped: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (HOST, self.port))
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            octets, caller = self._socket.recvfrom(4096)
            if not octets:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(octets)).to_wire(), caller)

    def _answer(self, question: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        asked = question.question[0]
        name = str(asked.name).removesuffix(".")
        kind = dns.rdatatype.to_text(asked.rdtype)
        if name == self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        found = self.records.get((name, kind))
        if found is not None:
            answer.answer.append(dns.rrset.from_text(asked.name, found[0], "IN", kind, *found[1]))
        elif not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
