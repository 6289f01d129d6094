"""What SMTP and LMTP servers say with 4xx and 5xx, and what it means for one message or for all of them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Patience, Radius, Side
from migrator.replies import MINUTE, clean, wait_seconds

_ENHANCED: Final = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b")  # RFC 3463


class Row(NamedTuple):
    """``error`` is meant when every condition that is set holds; enhanced codes are given without their class."""

    error: str
    stages: str = ""  # GREETING, EHLO, MAIL, RCPT, DATA, BODY, separated by blanks
    codes: str = ""
    enhanced: str = ""
    words: str = ""
    either: bool = False  # the enhanced code or the words are enough
    retry_after: float | None = None
    radius: Radius | None = None
    patience: Patience | None = None


ROWS: Final[tuple[Row, ...]] = (
    Row("server.too_many_connections", words=r"too many (concurrent |simultaneous )?(connections|sessions)"),
    Row("server.blocks_us", words=r"\b(blacklisted|blocklisted|banned|blocked using)\b", codes="550 554 553"),
    Row("server.throttled", words=r"grey-?list", retry_after=5 * MINUTE),
    Row("server.throttled", enhanced="7.28 4.5", words=r"rate limit|too much mail|slow down", either=True),
    Row("sign_in.needs_tls", words=r"must issue a? ?starttls|encryption (is )?required", codes="530 523 538 550 554"),
    Row("sign_in.no_method", words=r"authentication (is )?required", codes="530 550 553 554"),
    Row("target.full", enhanced="2.2", words=r"(mailbox|quota)( is)? (full|exceeded)|over ?quota", either=True),
    Row(
        "message.too_big", codes="552 523 554 550", enhanced="3.4 2.3", words=r"too (big|large)|size limit", either=True
    ),
    Row("server.full", codes="452 431", enhanced="3.1", words=r"insufficient|no space|disk full", either=True),
    Row("message.virus", stages="DATA BODY", words=r"virus|malware"),
    Row("message.sender_refused", stages="MAIL", codes="501 503 550 551 552 553 554 555"),
    Row("message.sender_refused", stages="RCPT", words=r"sender|\bspf\b|reverse-?path", codes="550 553 554"),
    Row("sign_in.unknown_user", stages="RCPT", enhanced="1.1 1.0 1.2 1.6 1.10", codes="550 551 553"),
    Row(
        "sign_in.unknown_user",
        stages="RCPT",
        codes="550 551 553",
        words=r"(user|recipient|mailbox|address)[^.]* (unknown|not found|unavailable|rejected)|unknown (user|recipient)"
        r"|no such (user|mailbox)|doesn'?t exist",
    ),
    Row("delivery.refused", stages="RCPT", codes="550 551 553 554 501 503 504 521 525 530"),
    Row("server.unavailable", codes="421 450 451 452 454 455"),
    Row("message.refused", stages="DATA BODY", codes="550 551 552 553 554 555 500 501 503 521"),
    Row("server.unavailable", stages="GREETING EHLO", codes="554 521", patience=Patience.NEVER),
)


def refusal(code: int, words: str, stage: str, *, side: Side = Side.TARGET) -> MigratorError:
    """Return what the reply ``code words`` at ``stage`` means; what no row knows is ``unknown``, never success."""
    found = _ENHANCED.match(words)
    enhanced = f"{found[2]}.{found[3]}" if found else ""
    row = next((row for row in ROWS if _fits(row, str(code), enhanced, words, stage)), None)
    wait = wait_seconds(words) or (row.retry_after if row else None)
    return MigratorError(
        row.error if row else "unknown",
        reply=clean(f"{code} {words}"),
        side=side,
        retry_after=wait,
        radius=row.radius if row else None,
        # a lasting refusal that nobody knows is not repeated
        patience=row.patience if row else (Patience.NEVER if code >= 500 else None),
    )


def _fits(row: Row, code: str, enhanced: str, words: str, stage: str) -> bool:
    if row.stages and stage not in row.stages.split():
        return False
    is_named = bool(row.enhanced) and enhanced in row.enhanced.split()
    is_said = bool(row.words) and re.search(row.words, words, re.IGNORECASE) is not None
    if row.either:
        return is_named or (is_said and (not row.codes or code in row.codes.split()))
    if row.codes and code not in row.codes.split():
        return False
    return (is_named or not row.enhanced) and (is_said or not row.words)
