"""OpenLDAP with people of the SIMS kind: mailHost, emailPersonStatus, mailUserStatus, inetUserStatus.

``uid=migrator`` may write; searches that are not paged end after 500 entries, as on well kept servers.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from migrator.entries import Json
from migrator.secret import Secret
from tests.rigs.base import HOST, Server, free_port, need, own_certificate

BASE = "dc=example,dc=test"
PEOPLE = f"ou=people,{BASE}"
MIGRATOR, MIGRATOR_PASSWORD = f"uid=migrator,{BASE}", "migpw"
READER, READER_PASSWORD = f"uid=reader,{BASE}", "readpw"  # may read, not write
ROOT, ROOT_PASSWORD = f"cn=admin,{BASE}", "rootpw"

Hidden = Literal["", "abilities", "versions"]

# 1.3.6.1.4.1.99999 is no registered number: for tests only
_SCHEMA = """\
attributetype ( 1.3.6.1.4.1.99999.1.1 NAME 'mailHost' EQUALITY caseIgnoreIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.1.2 NAME 'mailDeliveryOption' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.1.3 NAME 'mailUserStatus' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.1.4 NAME 'inetUserStatus' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.1.5 NAME 'mailAlternateAddress' EQUALITY caseIgnoreIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )
attributetype ( 1.3.6.1.4.1.99999.1.6 NAME 'mailForwardingAddress' EQUALITY caseIgnoreIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )
attributetype ( 1.3.6.1.4.1.99999.1.7 NAME 'mailQuota' EQUALITY caseIgnoreIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.1.8 NAME 'emailPersonStatus' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.1.9 NAME 'mailLocalAddress' EQUALITY caseIgnoreIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )
objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'mailMigrationUser' SUP top AUXILIARY
  MAY ( mailHost $ mailDeliveryOption $ mailUserStatus $ inetUserStatus $ mailAlternateAddress
    $ mailForwardingAddress $ mailQuota $ emailPersonStatus ) )
objectclass ( 1.3.6.1.4.1.99999.2.2 NAME 'inetMailGroup' SUP top AUXILIARY
  MAY ( mail $ mailHost $ mailDeliveryOption $ mailAlternateAddress ) )
objectclass ( 1.3.6.1.4.1.99999.2.3 NAME 'inetLocalMailRecipient' SUP top AUXILIARY
  MAY ( mailLocalAddress $ mailHost ) )
"""
_CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include {dir}/mail.schema
pidfile {dir}/slapd.pid
argsfile {dir}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
{modules}
loglevel none
{tls}
{hidden_abilities}
sizelimit size.soft=500 size.hard=500 size.prtotal={most}
database mdb
suffix "{base}"
rootdn "{root}"
rootpw {root_password}
directory {dir}/db
maxsize 268435456
# no fsync per change: tests only
dbnosync
index objectClass,uid,mail,mailAlternateAddress,mailHost,mailUserStatus,emailPersonStatus eq
access to attrs=userPassword by dn.exact="{reader}" read by anonymous auth by self write by * none
{hidden_versions}
access to * by dn.exact="{migrator}" write by * read
{replication}
"""
# RFC 4533: the replica asks once, and then is told of each change
_REPLICA = """\
syncrepl rid=001 provider={uri} type=refreshAndPersist retry="1 +" searchbase="{base}"
  bindmethod=simple binddn="{root}" credentials={root_password}
updateref {uri}
"""


# RFC 4511 §4.2: message 1, version 3, no name, no password
_NOBODY_SIGNS_IN = bytes.fromhex("300c020101600702010304008000")


class Slapd(Server):
    """``Slapd([person("anna@example.test", emailPersonStatus="active")])``; its URI is :attr:`uri`.

    ``tls``: StartTLS, and :attr:`secure_uri`. ``hides``: what nobody may read, its abilities or the versions of its
    entries. ``most``: entries that a paged search hands out. ``replica_of``: the URI of the one whose copy it is.
    """

    name: ClassVar[str] = "slapd"

    def __init__(
        self,
        people: Iterable[str] = (),
        *,
        tls: bool = False,
        hides: Hidden = "",
        most: str = "unlimited",
        replica_of: str = "",
    ) -> None:
        need("/usr/sbin/slapd", "OpenLDAP")
        super().__init__()
        self.port = self.imap  # the port that this rig's base watches
        self.uri = f"ldap://{HOST}:{self.port}"
        self.secure_uri = f"ldaps://{HOST}:{free_port()}" if tls else ""
        self._replica_of = replica_of
        self.certificate, key = own_certificate(self.dir) if tls else (None, None)
        (self.dir / "db").mkdir()
        (self.dir / "mail.schema").write_text(_SCHEMA)
        (self.dir / "slapd.conf").write_text(
            _CONFIG.format(
                dir=self.dir,
                base=BASE,
                root=ROOT,
                root_password=ROOT_PASSWORD,
                migrator=MIGRATOR,
                reader=READER,
                # one is a matter of the server, the other of its database
                hidden_abilities='access to dn.base="" by * none' if hides == "abilities" else "",
                hidden_versions="access to attrs=entryCSN by * none" if hides == "versions" else "",
                most=most,
                modules="" if replica_of else "moduleload syncprov",
                replication=_replication(replica_of),
                tls=f"TLSCertificateFile {self.certificate}\nTLSCertificateKeyFile {key}" if tls else "",
            )
        )
        (self.dir / "first.ldif").write_text("\n".join([*_FIRST, *people]))

    def start(self) -> None:
        if not self._replica_of and not any((self.dir / "db").iterdir()):
            self._run("/usr/sbin/slapadd", "-q", "-f", self.dir / "slapd.conf", "-l", self.dir / "first.ldif")
        # -d 0 keeps it in the foreground
        uris = f"{self.uri} {self.secure_uri}".strip()
        self.daemon = self.spawn(["/usr/sbin/slapd", "-f", self.dir / "slapd.conf", "-h", uris, "-d", "0"])
        self._wait_for_answer()

    def options(self, **more: Json) -> dict[str, Json]:
        """The options of a connector that signs in as the migrator, over a line in clear."""
        return {"uris": [self.uri], "bind_dn": MIGRATOR, "base": PEOPLE, "starttls": False, **more}

    def change(self, dn: str, **attributes: str | Sequence[str]) -> None:
        """Replace attributes as somebody else would; an empty list takes one away."""
        lines = ["dn:: " + base64.b64encode(dn.encode()).decode(), "changetype: modify"]
        for name, values in attributes.items():
            lines += [f"replace: {name}", *_lines(name, values), "-"]
        self._speak("ldapmodify", "\n".join(lines) + "\n")

    def holds(self, dn: str) -> bool:
        """True when there is an entry of that name."""
        found = self._speak("ldapsearch", "", "-LLL", "-b", BASE, f"(entryDN={dn})", "1.1")
        return "dn:" in found

    def add(self, *entries: str) -> None:
        """Add entries as somebody else would, each as :func:`person` and :func:`group` write it."""
        self._speak("ldapadd", "\n".join(entries))

    def apply(self, text: str) -> None:
        """Let ldapmodify read ``text``; raises ``CalledProcessError`` when one of its changes is refused."""
        self._speak("ldapmodify", text)

    def remove(self, dn: str) -> None:
        """Remove an entry."""
        self._speak("ldapdelete", dn + "\n")

    def read(self, dn: str, *names: str) -> list[str]:
        """The lines of one entry's attributes as ldapsearch prints them, sorted."""
        words = ["-LLL", "-o", "ldif-wrap=no", "-b", dn, "-s", "base", "(objectClass=*)", *names]
        printed = self._speak("ldapsearch", "", *words)
        return sorted(line for line in printed.splitlines() if line and not line.startswith("dn:"))

    def _speak(self, program: str, stdin: str, *words: str) -> str:
        argv = [f"/usr/bin/{program}", "-x", "-H", self.uri, "-D", ROOT, "-w", ROOT_PASSWORD, *words]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True, timeout=30).stdout

    def _run(self, *argv: object) -> None:
        subprocess.run(list(map(str, argv)), check=True, capture_output=True, timeout=60)

    def _wait_for_answer(self, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.daemon is not None and self.daemon.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=2.0) as line:
                line.sendall(_NOBODY_SIGNS_IN)
                if line.recv(512):
                    return
            time.sleep(0.02)
        raise RuntimeError(f"slapd on port {self.port} does not answer.\n{self.last_words()}")


def person(address: str, *, dn: str = "", **attributes: str | Sequence[str]) -> str:
    """The LDIF of one person; ``dn`` where it is not that of their uid."""
    uid = address.partition("@")[0]
    dn = dn or f"uid={uid},{PEOPLE}"
    given: dict[str, str | Sequence[str]] = {
        "objectClass": ["inetOrgPerson", "mailMigrationUser"],
        "uid": uid,
        "cn": uid,
        "sn": uid,
        "mail": address,
        **attributes,
    }
    lines = ["dn:: " + base64.b64encode(dn.encode()).decode()]
    for name, values in given.items():
        lines += _lines(name, values)
    return "\n".join(lines) + "\n"


def group(address: str, members: Sequence[str], **attributes: str | Sequence[str]) -> str:
    """The LDIF of one group of people, given by their uid."""
    cn = address.partition("@")[0]
    given: dict[str, str | Sequence[str]] = {
        "objectClass": ["groupOfNames", "inetMailGroup"],
        "cn": cn,
        "mail": address,
        "member": [f"uid={uid},{PEOPLE}" for uid in members],
        **attributes,
    }
    return (
        f"dn: cn={cn},{PEOPLE}\n" + "\n".join(line for name, its in given.items() for line in _lines(name, its)) + "\n"
    )


def _replication(replica_of: str) -> str:
    if not replica_of:
        return "overlay syncprov"
    return _REPLICA.format(uri=replica_of, base=BASE, root=ROOT, root_password=ROOT_PASSWORD)


def _lines(name: str, values: str | Sequence[str]) -> list[str]:
    listed = [values] if isinstance(values, str) else values
    return [f"{name}:: {base64.b64encode(value.encode()).decode()}" for value in listed]


_FIRST = [
    f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n",
    f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n",
    *(
        f"dn: {dn}\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: {dn[4:].partition(',')[0]}\n"
        f"userPassword: {password}\n"
        for dn, password in ((MIGRATOR, MIGRATOR_PASSWORD), (READER, READER_PASSWORD))
    ),
]


def secret() -> Secret:
    """The migrator's password."""
    return Secret(MIGRATOR_PASSWORD)
