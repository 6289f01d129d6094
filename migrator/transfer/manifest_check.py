"""Check a manifest without any server: its signature, the chains in it, and all its sums.

One pass, line by line; of one folder at a time some 45 octets a message are held. A manifest may come from anybody:
whatever is not exactly as this program writes it is a problem, told in a sentence, and never a crash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final
from urllib.parse import unquote_to_bytes

from migrator.mail import FolderPath, Outcome
from migrator.transfer import manifest
from migrator.transfer.ledger import RECORD_BYTES, FolderState, Leaf
from migrator.transfer.manifest import FORMAT, VERSION, Totals
from migrator.transfer.proof import MOST_FLAWS, OPEN, AccountProof, Balance, Flaw, FolderCheck, FolderProof, Found
from migrator.transfer.signing import is_signed

MOST_PROBLEMS: Final = 1000
_LINE_BYTES: Final = 1024 * 1024
_LEAF_BYTES: Final = 256 * 1024 * 1024
_MOST: Final = 2**63 - 1
_ROW_FLAWS: Final = frozenset({Flaw.ROW_MISSING, Flaw.ROW_DIFFERS, Flaw.ROW_UNFOUNDED})


class NoManifest(ValueError):
    """This is no manifest that could be checked; the text is the sentence that says why."""


class _Broken(ValueError):
    """A line is not what belongs there; the text says what is wrong with it."""


@dataclass(slots=True)
class Checked:
    """What came of a check."""

    key: bytes  # the public key that the manifest names; who signed it only when ``is_signed``
    made_at: str
    title: str
    has_records: bool
    is_signed: bool = False
    is_whole: bool = False  # every line is what it must be, to the end
    totals: Totals = field(default_factory=Totals)
    verified: int = 0  # accounts that were compared with the target
    problems: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)  # what another pass mends, and who was at work

    @property
    def holds(self) -> bool:
        """True when the manifest is as it was signed and nothing in it speaks against it."""
        return self.is_signed and self.is_whole and not self.problems


def check(file: IO[bytes]) -> Checked:
    """Check a whole manifest. Problems are returned, not raised. Raises ``NoManifest`` when it is none at all."""
    lines = Lines(file)
    head = _head(lines)
    checked = Checked(_octets(head["key"]), head["made_at"], head["title"], head["records"])
    try:
        _Check(checked).take(lines)
        checked.is_whole = True
    except _Broken as broken:
        checked.problems.insert(0, f"Line {lines.number:,}: {broken}")
    return checked


@dataclass(slots=True)
class Folder:
    """A folder of a manifest with its leaves, to be taken, or not, before the next folder is asked for."""

    state: FolderState
    leaves: Iterator[Leaf]


def accounts(file: IO[bytes]) -> Iterator[tuple[str, str, Iterator[Folder]]]:
    """Yield source, target and folders of each account of a manifest that was checked and is whole."""
    lines = Lines(file)
    _head(lines)
    thing = lines.take("account", "end")
    while thing["kind"] == "account":
        folders = _folders(lines)
        yield thing["source"], thing["target"], folders
        for _ in folders:
            pass
        thing = lines.take("account", "end")


def _folders(lines: Lines) -> Iterator[Folder]:
    while (thing := lines.take("folder", "account-end"))["kind"] == "folder":
        folder = Folder(_state(thing), _leaves(lines, _name(thing["source"])))
        yield folder
        for _ in folder.leaves:
            pass


def _leaves(lines: Lines, name: bytes) -> Iterator[Leaf]:
    while (thing := lines.take("leaf", "folder-end"))["kind"] == "leaf":
        yield _leaf(thing, name, lines)


class Lines:
    """The lines of a manifest, each taken once and held to what may stand there."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._running = hashlib.sha256()
        self.number = 0

    def take(self, *kinds: str) -> dict[str, Any]:
        """Return the next thing, which must be of one of ``kinds``."""
        text = self._file.readline(_LINE_BYTES + 1)
        self.number += 1
        if not text:
            raise _Broken("the manifest ends here, before its seal: the rest was cut off.")
        thing = _parsed(text)
        kind = thing.get("kind")
        if kind not in kinds or set(thing) != _FIELDS.get(str(kind)):
            raise _Broken(f"here belongs {' or '.join(kinds)}, and it stands something else.")
        if kind != "seal":
            self._running.update(text)
        return thing

    def sha256(self) -> str:
        """Return the sum of all lines so far, without the seal."""
        return self._running.hexdigest()

    def is_over(self) -> bool:
        """True when nothing follows."""
        return not self._file.read(1)


class _Check:
    def __init__(self, checked: Checked) -> None:
        self._checked = checked

    def take(self, lines: Lines) -> None:
        thing = lines.take("account", "end")
        while thing["kind"] == "account":
            self._account(thing, lines)
            thing = lines.take("account", "end")
        if thing != manifest.end_of(self._checked.totals):
            self._problem("", "The sums at the end are not those of the accounts before.")
        self._seal(lines)

    def _seal(self, lines: Lines) -> None:
        sum_of_lines = lines.sha256()
        seal = lines.take("seal")
        signature = _octets(seal["signature"])
        if seal["sha256"] != sum_of_lines:
            self._problem("", "The content was changed after it was signed: its sum is not the one in the seal.")
        self._checked.is_signed = is_signed(self._checked.key, signature, manifest.signed_text(sum_of_lines))
        if not self._checked.is_signed and seal["sha256"] == sum_of_lines:
            self._problem("", "The signature is not one of the key that the manifest names.")
        if not lines.is_over():
            raise _Broken("something follows after the seal.")

    def _account(self, thing: Mapping[str, Any], lines: Lines) -> None:
        who, proof = _text(thing["target"]), AccountProof()
        _text(thing["source"])
        self._checked.verified += _verified(thing["verified"])
        told = len(self._checked.problems)
        while (begun := lines.take("folder", "account-end"))["kind"] == "folder":
            proof += self._folder(begun, who, lines)
        at_work = begun["at_work"] is True
        if begun != manifest.account_end(proof, at_work=at_work):
            self._problem(who, "The sums of the account are not those of its folders.")
        if at_work:
            self._checked.open += self._checked.problems[told:]  # what was written meanwhile contradicts what was read
            del self._checked.problems[told:]
            self._open(who, "The account was being worked on: make the manifest again when it rests.")
        elif not proof.folders:
            self._open(who, "No folder of it was copied yet.")
        self._checked.totals.add(proof, at_work=at_work)

    def _folder(self, thing: Mapping[str, Any], who: str, lines: Lines) -> FolderProof:
        state = _state(thing)
        where = f"{who}, folder {FolderPath(state.source).display}"
        folder = FolderCheck(state)
        while (end := lines.take("leaf", "folder-end"))["kind"] == "leaf":
            if not self._checked.has_records:
                raise _Broken("a manifest without records holds some.")
            folder.take(_leaf(end, state.source, lines))
        told = _told(end, state)
        if not self._checked.has_records:
            if told.is_sound and told.records < told.balance.recorded:
                self._problem(where, "There are fewer records than messages with an outcome.")
            self._tell(where, told.flaws)
            return told
        found = folder.close(has_rows=False)
        rows = [flaw for flaw in told.flaws if flaw.flaw in _ROW_FLAWS]
        if (found.records, found.balance, found.unplaced, found.foreign) != (
            told.records, told.balance, told.unplaced, told.foreign
        ):  # fmt: skip
            self._problem(where, "Its sums are not those of its records.")
        flaws = [*found.flaws, *rows]
        if sorted(flaws) != sorted(told.flaws) and len(told.flaws) < MOST_FLAWS:
            self._problem(where, "The manifest does not say of it what its records say.")
        self._tell(where, flaws)
        return told

    def _tell(self, where: str, flaws: Sequence[Found]) -> None:
        for found in flaws:
            is_open = found.flaw in OPEN and found.flaw is not Flaw.UNBALANCED
            (self._open if is_open else self._problem)(where, found.sentence)

    def _problem(self, where: str, sentence: str) -> None:
        _add(self._checked.problems, where, sentence)

    def _open(self, where: str, sentence: str) -> None:
        _add(self._checked.open, where, sentence)


def _add(told: list[str], where: str, sentence: str) -> None:
    if len(told) < MOST_PROBLEMS:
        told.append(f"{where}: {sentence}" if where else sentence)


# What may stand in a line

_SUMS: Final = {"listed", "outcomes", "removed", "bytes"}
_FIELDS: Final = {
    "head": {"kind", "format", "version", "made_at", "title", "key", "records"},
    "account": {"kind", "source", "target", "state", "verified"},
    "folder": {
        "kind", "source", "target", "source_uidvalidity", "target_uidvalidity", "complete", "listed", "outcomes",
        "removed", "leaves", "tip",
    },
    "leaf": {"kind", "number", "source_uidvalidity", "target_uidvalidity", "records", "previous", "digest"},
    "records": {"kind", "packed"},
    "folder-end": {"kind", "records", "bytes", "unplaced", "foreign", "balanced", "flaws"},
    "account-end": {"kind", "folders", "at_work", "balanced", *_SUMS},
    "end": {"kind", "accounts", "balanced", "at_work", "folders", *_SUMS},
    "seal": {"kind", "sha256", "signature"},
}  # fmt: skip


def _head(lines: Lines) -> dict[str, Any]:
    try:
        text = lines._file.readline(_LINE_BYTES + 1)
        lines.number += 1
        head = _parsed(text)
        if head.get("format") != FORMAT:
            raise _Broken
        if head.get("version") != VERSION:
            raise NoManifest("This manifest was written by a newer version of Mailferry: check it with that one.")
        is_head = head.get("kind") == "head" and set(head) == _FIELDS["head"] and isinstance(head["records"], bool)
        if not is_head or len(_octets(head["key"])) != 32:
            raise _Broken
        _text(head["made_at"]), _text(head["title"])
    except _Broken:
        raise NoManifest("This is no manifest of Mailferry.") from None
    lines._running.update(text)
    return head


def _parsed(text: bytes) -> dict[str, Any]:
    """Return the thing on a line. One thing can be written in one way only."""
    if len(text) > _LINE_BYTES:
        raise _Broken("the line is too long.")
    try:
        thing = json.loads(text)
        is_canonical = isinstance(thing, dict) and manifest.line(thing) == text
    except (ValueError, RecursionError):
        raise _Broken("this is no line of a manifest.") from None
    if not is_canonical:
        raise _Broken("this line was not written by Mailferry.")
    return dict(thing)


def _state(thing: Mapping[str, Any]) -> FolderState:
    listed = thing["listed"]
    return FolderState(
        source=_name(thing["source"]),
        target=_name(thing["target"]),
        source_uidvalidity=_number(thing["source_uidvalidity"]),
        target_uidvalidity=_number(thing["target_uidvalidity"]),
        source_messages=None if listed is None else _number(listed),
        is_complete=thing["complete"] is True,
        totals=_outcomes(thing["outcomes"]),
        removed=_number(thing["removed"]),
        leaves=_number(thing["leaves"]),
        tip=_digest(thing["tip"]),
    )


def _leaf(thing: Mapping[str, Any], folder: bytes, lines: Lines) -> Leaf:
    size = _number(thing["records"]) * RECORD_BYTES
    if size > _LEAF_BYTES:
        raise _Broken("this part of a ledger is too big to be one.")
    pieces, left = [], size
    while left > 0:
        piece = _octets(lines.take("records")["packed"])
        if not piece or len(piece) % RECORD_BYTES:
            raise _Broken("these are no records.")
        pieces.append(piece)
        left -= len(piece)
    leaf = Leaf(
        folder,
        _number(thing["source_uidvalidity"]),
        _number(thing["target_uidvalidity"]),
        _number(thing["number"]),
        b"".join(pieces),
        _digest(thing["previous"]),
        _digest(thing["digest"]),
    )
    if left:
        raise _Broken("these are not the records that were announced.")
    return leaf


def _told(thing: Mapping[str, Any], state: FolderState) -> FolderProof:
    """Return what the end of a folder says."""
    flaws = []
    for pair in thing["flaws"] if isinstance(thing["flaws"], list) else [None]:
        if not isinstance(pair, list) or len(pair) != 2 or str(pair[0]) not in set(Flaw):
            raise _Broken("it names a flaw that does not exist.")
        flaws.append(Found(Flaw(pair[0]), _number(pair[1])))
    proof = FolderProof(
        state,
        Balance(state.source_messages or 0, dict(sorted(state.totals.items())), state.removed, _number(thing["bytes"])),
        _number(thing["records"]),
        _number(thing["unplaced"]),
        _number(thing["foreign"]),
        tuple(flaws),
    )
    if thing["balanced"] is not proof.is_balanced:
        raise _Broken("it calls balanced what is not, or the other way.")
    missing = proof.balance.missing if state.is_complete and state.source_messages is not None else 0
    if missing and Found(Flaw.UNBALANCED, abs(missing)) not in flaws:
        raise _Broken("it hides that the sums of the folder do not balance.")
    return proof


def _verified(thing: object) -> bool:
    if thing is None:
        return False
    if not isinstance(thing, dict) or set(thing) != {"level", "at"}:
        raise _Broken("it says in no known way how the account was compared.")
    return all(bool(_text(text)) for text in thing.values())


def _outcomes(thing: object) -> dict[Outcome, int]:
    if not isinstance(thing, dict) or not set(thing) <= set(_NAMES):
        raise _Broken("it names an outcome that does not exist.")
    return {_NAMES[name]: _number(count) for name, count in thing.items()}


_NAMES: Final = {outcome.name.lower(): outcome for outcome in Outcome}


def _number(thing: object) -> int:
    if not isinstance(thing, int) or isinstance(thing, bool) or not 0 <= thing <= _MOST:
        raise _Broken("a number is not one.")
    return thing


def _text(thing: object) -> str:
    if not isinstance(thing, str):
        raise _Broken("a text is not one.")
    return thing


def _name(thing: object) -> bytes:
    raw = unquote_to_bytes(_text(thing).encode("utf-8", "surrogatepass"))
    if manifest.name(raw) != thing:
        raise _Broken("the name of a folder is written in another way than Mailferry's.")
    return raw


def _digest(thing: object) -> bytes:
    try:
        raw = bytes.fromhex(_text(thing))
    except ValueError:
        raise _Broken("a sum is not one.") from None
    if len(raw) != 32 or raw.hex() != thing:
        raise _Broken("a sum is not one.")
    return raw


def _octets(thing: object) -> bytes:
    text = _text(thing)
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _Broken("what should be base64 is not.") from None
    if base64.b64encode(octets).decode() != text:  # the last letter has bits that mean nothing
        raise _Broken("what should be base64 is not as it is written.")
    return octets
