"""A mailbox that mail is delivered to by LMTP (RFC 2033): as by SMTP, without queues, and without a marker.

LMTP is what a mail store itself is spoken to with: there is an answer for the mailbox, not for a queue in front of it.
"""

from __future__ import annotations

from migrator.stores.smtp import SmtpTarget


class LmtpTarget(SmtpTarget):
    """The ``TargetStore`` of LMTP."""

    is_local = True
    marker = b""
