"""What a check saw, one line at a time: a code, where, what was found and expected. Values that survive JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from migrator.errors import CATALOGUE, N_


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was seen. ``code`` is of SENTENCES or errors.CATALOGUE; ``found`` may be a server's words."""

    code: str
    is_good: bool
    place: str = ""
    found: str = ""
    expected: str = ""

    @property
    def sentence(self) -> str:
        """What was seen, in plain words (a message id)."""
        return SENTENCES[self.code] if self.code in SENTENCES else CATALOGUE[self.code].sentence

    def as_json(self) -> dict[str, Any]:
        """Return it for storing."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what ``as_json`` made."""
        return cls(**stored)


SENTENCES: Final = {
    "port.greets": N_("Answers."),
    "port.signed_in": N_("Lets somebody in."),
    "port.closed": N_("Nobody answers here any more."),
    "port.other_greeting": N_("Answers with other words than the old server did."),
    "port.same_greeting": N_("Still answers with the old server's words."),
    "port.still_open": N_("Still answers, and nobody noted with which words the old server did."),
    "port.no_address": N_("This name is not known, so nothing can be said of it. Look whether it is spelled rightly."),
    "port.silent": N_("Takes calls and says nothing."),
    "port.not_planned": N_("No port is planned here. Fill in the page of names and ports."),
    "port.nobody_to_sign_in": N_(
        "Nobody could be signed in. That is tried only at the new server's own name, with the password of somebody in "
        "the batch or of its administrator; record the step by hand where it has another name."
    ),
    "queue.empty": N_("Nothing waits to be sent on the old server."),
    "queue.waits": N_("Mail still waits to be sent on the old server."),
    "queue.not_known": N_("The old server's queue cannot be seen from here. Look there, and record it by hand."),
    "mailbox.still": N_("Mailboxes in which nothing came since they were copied, of those that were looked at."),
    "mailbox.none": N_("There is no mailbox to look at."),
    "mailbox.new_mail": N_("Mail has come since this mailbox was copied. The next copy brings it over."),
    "mailbox.never_copied": N_("This mailbox was not copied yet."),
    "dns.not_planned": N_("No domain is named. Fill in the page of names and ports."),
    "dns.mx": N_("Mail for this domain goes where it should."),
    "dns.mx_other": N_("Mail for this domain goes elsewhere."),
    "dns.mx_ttl": N_("A change here is seen by everybody soon enough."),
    "dns.mx_ttl_long": N_("Others keep the old answer for longer than planned. Shorten it some days before the night."),
    "dns.spf": N_("Mail from the new server is vouched for."),
    "dns.spf_other": N_("The new server is not vouched for: others may take its mail for forged."),
    "dns.program": N_("Leads mail programs to the new server."),
    "dns.program_old": N_("Leads mail programs to the old server."),
    "dns.client_name": N_("This name leads to the new server."),
    "dns.client_name_other": N_("This name does not lead to the new server."),
    "dns.no_answer": N_("The name service gives no answer."),
}
