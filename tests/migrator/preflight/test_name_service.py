"""What a domain's records say is found and held against what is expected, with a real name service on loopback."""

from __future__ import annotations

import pytest

from migrator.preflight.name_service import Expected, NameService, look
from tests.rigs.names import HOST, NameServer

RECORDS = {
    ("example.test", "MX"): (300, ["10 mx.new.test."]),
    ("example.test", "TXT"): (300, ['"v=spf1 ip4:192.0.2.7 " "include:_spf.new.test -all"', '"something else"']),
    ("mx.new.test", "A"): (300, ["192.0.2.7"]),
    ("new.test", "A"): (300, ["192.0.2.7"]),
    ("old.test", "A"): (300, ["192.0.2.1"]),
    ("imap.example.test", "CNAME"): (300, ["new.test."]),
    ("imap.example.test", "A"): (300, ["192.0.2.7"]),
    ("_imaps._tcp.example.test", "SRV"): (300, ["0 1 993 new.test."]),
}
EXPECTED = Expected(
    domains=("example.test",),
    mx=("mx.new.test",),
    most_ttl=300,
    spf=("ip4:192.0.2.7", "include:_spf.new.test"),
    client_names=("imap.example.test",),
    new_hosts=("new.test",),
    old_hosts=("old.test",),
)


def found(records: dict[tuple[str, str], tuple[int, list[str]]], broken: str = "") -> dict[str, bool]:
    with NameServer(records, broken) as server:
        seen = list(look(EXPECTED, NameService((HOST,), server.port)))
    assert all(one.place and (one.expected or one.code == "dns.no_answer") for one in seen)
    return {one.code: one.is_good for one in seen}


def test_a_domain_whose_records_lead_to_the_new_server_is_well() -> None:
    assert found(RECORDS) == dict.fromkeys(("dns.mx", "dns.mx_ttl", "dns.spf", "dns.program", "dns.client_name"), True)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({("example.test", "MX"): (300, ["10 mx.new.test.", "20 old.test."])}, "dns.mx_other"),
        ({("example.test", "MX"): (86_400, ["10 mx.new.test."])}, "dns.mx_ttl_long"),
        ({("example.test", "TXT"): (300, ['"v=spf1 ip4:192.0.2.1 -all"'])}, "dns.spf_other"),
        (
            {("example.test", "TXT"): (300, ['"v=spf1 a"', '"v=spf1 ip4:192.0.2.7 include:_spf.new.test"'])},
            "dns.spf_other",
        ),
        ({("_imaps._tcp.example.test", "SRV"): (300, ["0 1 993 old.test."])}, "dns.program_old"),
        ({("autodiscover.example.test", "A"): (300, ["192.0.2.1"])}, "dns.program_old"),
        ({("imap.example.test", "A"): (300, ["192.0.2.1"])}, "dns.client_name_other"),
    ],
)
def test_each_record_that_is_not_as_expected_is_told(
    change: dict[tuple[str, str], tuple[int, list[str]]], code: str
) -> None:
    assert found(RECORDS | change)[code] is False


def test_a_domain_without_records_is_not_well() -> None:
    seen = found({("other.test", "A"): (300, ["192.0.2.9"])})
    assert (seen["dns.mx_other"], seen["dns.spf_other"], seen["dns.client_name_other"]) == (False, False, False)


def test_no_answer_is_told_and_is_no_good_answer() -> None:
    seen = found(RECORDS, broken="example.test")
    assert seen["dns.no_answer"] is False
    assert seen["dns.client_name"] is True
