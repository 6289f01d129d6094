"""What every store must do, whatever it is connected to.

Subclass SourceStoreContract or TargetStoreContract and give it the fixture ``peer``: one fresh account. Its mail is
put there by ``fill`` without the engine, its store opened by ``open``. All bodies end their lines with CRLF, so that
every server hands them out as they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from migrator.errors import MigratorError, Stopped
from migrator.limits import Limits
from migrator.mail import NO_FLAGS, Flags, Folder, FolderPath, Message, MessageMeta, NewFolder
from migrator.stores.base import ReadRequest, Receipt, ScanRequest, Store, TargetStore, Trouble

Name = tuple[str, ...]

INBOX: Name = ("INBOX",)
ARCHIVE: Name = ("Archive", "Grüße & mehr")
EMPTY: Name = ("Empty",)
SMALL = Limits(bundle_messages=3, window_messages=6, whole_bytes=4096, io_seconds=30)


class Letter(NamedTuple):
    """One message as it is put into an account."""

    body: bytes
    flags: Flags = NO_FLAGS
    internal_date: int = 1_000_000_000
    zone_minutes: int = 0


@dataclass(frozen=True)
class Peer:
    """One fresh account: ``fill`` puts letters into folders, made as needed, in order; ``open`` signs in."""

    fill: Callable[[Mapping[Name, Sequence[Letter]]], None]
    open: Callable[[Limits], Any]


def letter(number: int, *, size_bytes: int = 0, flags: Iterable[str] = (), zone_minutes: int = 0) -> Letter:
    """Make a letter that no other number makes; about ``size_bytes`` long."""
    head = b"Subject: number %d\r\nMessage-ID: <%d@example.test>\r\n\r\n" % (number, number)
    body = head + b"%08d is a line of a longer letter, no two of them are alike\r\n" % number
    lines = b"".join(b"%08d%08d and more\r\n" % (number, line) for line in range(max(0, size_bytes - len(body)) // 26))
    return Letter(body + lines, frozenset(flags), 800_000_000 + number * 86_401, zone_minutes)


LETTERS = {
    INBOX: [
        letter(1, flags=["\\Seen"]),
        letter(2),
        letter(3, flags=["\\Answered", "\\Flagged"], zone_minutes=-330),
        letter(4, flags=["\\Draft"], zone_minutes=765),
        letter(5, flags=["\\Deleted"]),
    ],
    ARCHIVE: [letter(11, size_bytes=300_000), letter(12), letter(13, size_bytes=5000), letter(14, flags=["\\Seen"])],
    EMPTY: [],
}


def place(store: Store, name: Name) -> FolderPath:
    """Return where ``name`` is on the server of ``store``."""
    prefix, separator = store.prefix()
    if name == INBOX:
        return FolderPath(b"INBOX", separator)
    return FolderPath(prefix.encode("ascii") + FolderPath.of(name, separator).raw, separator)


def listed(store: Store) -> dict[bytes, Folder]:
    """Return the folders that can be opened, by name."""
    return {folder.path.raw: folder for folder in store.folders() if folder.selectable}


def scan(store: Store, *names: Name, **options: int) -> list[MessageMeta | Trouble]:
    """Scan folders by name."""
    return list(store.scan([ScanRequest(place(store, name), **options) for name in names]))


def uids_of(store: Store, name: Name) -> list[int]:
    """Return the UIDs in a folder, as scanned."""
    return [meta.uid for meta in scan(store, name)]


def taken(message: Message) -> bytes:
    """Take the body of a message."""
    return message.whole if message.whole is not None else b"".join(message.stream or ())


def bodies(store: Store, *requests: ReadRequest) -> list[tuple[FolderPath, int, bytes] | Trouble]:
    """Read and take everything asked for."""
    found: list[tuple[FolderPath, int, bytes] | Trouble] = []
    for item in store.read(requests):
        if isinstance(item, Trouble):
            found.append(item)
            continue
        body = taken(item)
        assert len(body) == item.size_bytes
        found.append((item.path, item.uid, body))
    return found


def contents(store: Store, name: Name) -> list[bytes]:
    """Return all bodies of a folder in order."""
    path = place(store, name)
    return [body for _, _, body in bodies(store, ReadRequest(path, uids_of(store, name)))]


class StoreContract:
    """The read side, which sources and targets share."""

    @pytest.fixture
    def peer(self) -> Peer:
        raise NotImplementedError("a subclass says how an account is filled and opened")

    @pytest.fixture
    def store(self, peer: Peer) -> Iterator[Any]:
        """The account with LETTERS, opened."""
        peer.fill(LETTERS)
        with peer.open(SMALL) as store:
            yield store

    # folders

    def test_every_folder_is_listed_with_its_counters(self, store: Store) -> None:
        found = listed(store)
        for name, letters in LETTERS.items():
            folder = found[place(store, name).raw]
            assert folder.path.separator == place(store, name).separator
            assert folder.messages == len(letters)
            assert folder.uidvalidity is not None
            assert folder.uidnext is not None
            assert folder.uidnext > max(uids_of(store, name), default=0)
            assert (folder.highestmodseq is not None) == store.features.condstore

    def test_folders_have_the_names_they_were_given(self, store: Store) -> None:
        prefix, separator = store.prefix()
        path = listed(store)[place(store, ARCHIVE).raw].path
        levels = prefix.split(separator)[:-1] if prefix and separator else []
        assert path.segments == (*levels, *ARCHIVE)
        assert sum(folder.path.is_inbox for folder in store.folders()) == 1

    def test_listing_changes_nothing(self, store: Store) -> None:
        assert listed(store) == listed(store)

    # scan

    def test_a_scan_tells_size_date_and_flags_in_the_order_asked(self, store: Store) -> None:
        found = scan(store, ARCHIVE, EMPTY, INBOX)
        expected = [
            (place(store, name), len(one.body), one.internal_date, one.flags)
            for name in (ARCHIVE, INBOX)
            for one in LETTERS[name]
        ]
        assert [(meta.path, meta.size_bytes, meta.internal_date, meta.flags) for meta in found] == expected
        for name in (ARCHIVE, INBOX):
            uids = [meta.uid for meta in found if meta.path == place(store, name)]
            assert uids == sorted(set(uids))
            assert uids[0] > 0

    @pytest.mark.req("D-37")
    def test_a_scan_begins_after_the_uid_it_is_given(self, store: Store) -> None:
        uids = uids_of(store, INBOX)
        assert [meta.uid for meta in scan(store, INBOX, after_uid=uids[2])] == uids[3:]
        assert scan(store, INBOX, after_uid=uids[-1]) == []
        assert scan(store, INBOX, after_uid=uids[-1] + 1000) == []

    def test_a_scan_of_nothing_asks_for_nothing(self, store: Store) -> None:
        assert list(store.scan([])) == list(store.read([])) == []

    def test_the_same_scan_may_be_repeated(self, store: Store) -> None:
        assert scan(store, INBOX, ARCHIVE) == scan(store, INBOX, ARCHIVE)

    @pytest.mark.req("D-31")
    def test_a_folder_with_another_uidvalidity_is_trouble_and_the_others_go_on(self, store: Store) -> None:
        folders = listed(store)
        requests = [
            ScanRequest(place(store, ARCHIVE), folders[place(store, ARCHIVE).raw].uidvalidity + 1),
            ScanRequest(place(store, INBOX), folders[b"INBOX"].uidvalidity),
        ]
        trouble, *metas = store.scan(requests)
        assert isinstance(trouble, Trouble)
        assert (trouble.path, trouble.error.code) == (place(store, ARCHIVE), "folder.changed")
        assert len(metas) == len(LETTERS[INBOX])
        reads = [ReadRequest(request.path, [1], request.uidvalidity) for request in requests[:1]]
        (trouble,) = store.read(reads)
        assert trouble.error.code == "folder.changed"

    @pytest.mark.req("C-56")
    def test_a_folder_that_is_not_there_is_trouble_and_the_others_go_on(self, store: Store) -> None:
        nowhere = place(store, ("Nowhere",))
        trouble, *metas = scan(store, ("Nowhere",), INBOX)
        assert isinstance(trouble, Trouble)
        assert trouble.path == nowhere
        assert len(metas) == len(LETTERS[INBOX])
        uid = uids_of(store, INBOX)[0]
        trouble, message = bodies(store, ReadRequest(nowhere, [1, 2]), ReadRequest(place(store, INBOX), [uid]))
        assert isinstance(trouble, Trouble)
        assert trouble.path == nowhere
        assert message[2] == LETTERS[INBOX][0].body

    # read

    def test_bodies_come_exactly_and_in_the_order_asked(self, store: Store) -> None:
        requests = [ReadRequest(place(store, name), uids_of(store, name)) for name in (ARCHIVE, INBOX)]
        expected = [
            (request.path, uid, one.body)
            for request, name in zip(requests, (ARCHIVE, INBOX), strict=True)
            for uid, one in zip(request.uids, LETTERS[name], strict=True)
        ]
        assert bodies(store, *requests) == expected

    def test_only_what_is_asked_for_is_read(self, store: Store) -> None:
        path, uids = place(store, INBOX), uids_of(store, INBOX)
        found = bodies(store, ReadRequest(path, [uids[1], uids[3]], known_uids=uids))
        assert found == [(path, uids[1], LETTERS[INBOX][1].body), (path, uids[3], LETTERS[INBOX][3].body)]

    @pytest.mark.req("D-39", "C-45")
    def test_uids_that_do_not_exist_are_left_out(self, store: Store) -> None:
        path, uids = place(store, INBOX), uids_of(store, INBOX)
        found = bodies(store, ReadRequest(path, [*uids, uids[-1] + 5, uids[-1] + 6]))
        assert [item[1] for item in found] == uids
        assert bodies(store, ReadRequest(path, [uids[-1] + 5])) == []

    @pytest.mark.req("D-52")
    def test_a_big_message_comes_as_a_stream_and_a_small_one_whole(self, store: Store) -> None:
        path = place(store, ARCHIVE)
        sizes = {}
        for message in store.read([ReadRequest(path, uids_of(store, ARCHIVE))]):
            assert (message.whole is None) == (message.size_bytes > SMALL.whole_bytes) == (message.stream is not None)
            pieces = list(message.stream or [message.whole])
            assert len(pieces) > 1 or len(pieces[0]) <= 64 * 1024
            sizes[message.uid] = sum(map(len, pieces))
        assert list(sizes.values()) == [len(one.body) for one in LETTERS[ARCHIVE]]

    @pytest.mark.req("D-30")
    def test_reading_leaves_the_flags_as_they_were(self, store: Store) -> None:
        before = scan(store, INBOX, ARCHIVE)
        assert len(contents(store, INBOX)) == len(LETTERS[INBOX])
        assert len(contents(store, ARCHIVE)) == len(LETTERS[ARCHIVE])
        assert scan(store, INBOX, ARCHIVE) == before

    # the line

    def test_a_dropped_line_is_taken_up_again(self, store: Store) -> None:
        before = scan(store, INBOX)
        store.drop()
        store.drop()
        assert scan(store, INBOX) == before

    def test_a_line_may_be_dropped_while_something_is_coming(self, store: Store) -> None:
        path = place(store, ARCHIVE)
        for items in (store.scan([ScanRequest(path)]), store.read([ReadRequest(path, uids_of(store, ARCHIVE))])):
            next(items)
            store.drop()
            with suppress(MigratorError):  # what had come before may still come out
                assert len(list(items)) < len(LETTERS[ARCHIVE])
            assert len(scan(store, ARCHIVE)) == len(LETTERS[ARCHIVE])

    def test_what_is_given_up_half_way_spoils_nothing(self, store: Store) -> None:
        items = store.read([ReadRequest(place(store, ARCHIVE), uids_of(store, ARCHIVE))])
        next(items)
        items.close()
        assert len(contents(store, INBOX)) == len(LETTERS[INBOX])

    def test_a_store_may_be_closed_at_any_time_and_twice(self, peer: Peer) -> None:
        peer.fill(LETTERS)
        store = peer.open(SMALL)
        store.close()
        store = peer.open(SMALL)
        store.folders()
        store.close()
        store.close()
        store = peer.open(SMALL)
        items = store.scan([ScanRequest(FolderPath(b"INBOX", "/"))])
        next(items)
        store.close()
        store.drop()


class SourceStoreContract(StoreContract):
    """The contract of migrator.stores.base.SourceStore."""


class TargetStoreContract(StoreContract):
    """The contract of migrator.stores.base.TargetStore: the read side, and all that changes something."""

    @pytest.fixture
    def target(self, peer: Peer) -> Iterator[Any]:
        """The account with an empty INBOX, opened."""
        with peer.open(SMALL) as store:
            yield store

    # folders

    def test_folders_are_created_and_opened_in_the_order_asked(self, target: TargetStore) -> None:
        names = [ARCHIVE, INBOX, EMPTY]
        found = ensure(target, *names)
        assert [folder.path for folder in found] == [place(target, name) for name in names]
        for folder in found:
            assert folder.messages == 0
            assert folder.uidvalidity
            assert folder.uidnext is None or folder.uidnext > 0  # Courier's SELECT does not tell
            assert {"\\Seen", "\\Answered", "\\Flagged", "\\Draft"} <= folder.permanent_flags
        assert {place(target, name).raw for name in names} <= listed(target).keys()

    @pytest.mark.req("C-53")
    def test_creating_a_folder_twice_is_no_error(self, target: TargetStore) -> None:
        first = ensure(target, ARCHIVE, EMPTY)
        assert [(one.path, one.uidvalidity) for one in ensure(target, ARCHIVE, EMPTY)] == [
            (one.path, one.uidvalidity) for one in first
        ]

    @pytest.mark.req("S-51")
    def test_folders_are_subscribed_where_asked(self, target: TargetStore) -> None:
        wanted = [NewFolder(place(target, name), True, name == ARCHIVE, None) for name in (ARCHIVE, EMPTY)]
        assert not any(isinstance(one, Trouble) for one in target.ensure_folders(wanted))
        folders = listed(target)
        assert folders[place(target, ARCHIVE).raw].subscribed
        assert not folders[place(target, EMPTY).raw].subscribed

    def test_a_folder_opened_tells_what_is_in_it(self, peer: Peer) -> None:
        peer.fill(LETTERS)
        with peer.open(SMALL) as target:
            (folder,) = ensure(target, INBOX, create=False)
            assert folder.messages == len(LETTERS[INBOX])
            assert folder.uidnext is None or folder.uidnext > uids_of(target, INBOX)[-1]
            assert folder.uidvalidity == listed(target)[b"INBOX"].uidvalidity

    @pytest.mark.req("D-21", "C-59")
    def test_a_role_that_is_taken_is_left_off(self, target: TargetStore) -> None:
        wanted = [NewFolder(place(target, (name,)), True, False, "\\Sent") for name in ("Gesendet", "Sent Messages")]
        assert not any(isinstance(one, Trouble) for one in target.ensure_folders(wanted))
        folders = listed(target)
        assert {folder.raw for folder in (one.path for one in wanted)} <= folders.keys()

    # append

    def test_messages_arrive_in_order_with_flags_and_dates(self, target: TargetStore) -> None:
        ensure(target, *LETTERS)
        receipts = append(target, *((name, one) for name, letters in LETTERS.items() for one in letters))
        assert not any(receipt.error for receipt in receipts)
        for name, letters in LETTERS.items():
            found = scan(target, name)
            assert [(meta.internal_date, meta.flags) for meta in found] == [
                (one.internal_date, one.flags) for one in letters
            ]
            assert contents(target, name) == [one.body for one in letters]

    def test_receipts_name_every_message_once_in_order_and_without_its_body(self, target: TargetStore) -> None:
        ensure(target, INBOX, ARCHIVE)
        feed = [(name, letter(number)) for name in (INBOX, ARCHIVE) for number in range(11)]
        receipts = append(target, *feed)
        messages = [message for receipt in receipts for message in receipt.messages]
        assert [message.uid for message in messages] == list(range(1, len(feed) + 1))
        assert all(message.target == receipt.target for receipt in receipts for message in receipt.messages)
        assert all(message.whole is None and message.stream is None for message in messages)
        assert max(len(receipt.messages) for receipt in receipts) <= SMALL.bundle_messages

    @pytest.mark.req("D-63")
    def test_uids_in_receipts_are_true(self, target: TargetStore) -> None:
        (folder,) = ensure(target, ARCHIVE)
        letters = [letter(number) for number in range(8)]
        receipts = append(target, *((ARCHIVE, one) for one in letters))
        told = [receipt.target_uids for receipt in receipts]
        assert target.features.uidplus or told == [None] * len(told)
        found = dict(zip(uids_of(target, ARCHIVE), letters, strict=True))
        for receipt in receipts:
            if receipt.target_uids is not None:
                assert receipt.target_uidvalidity in (None, folder.uidvalidity)
                assert [found[uid].body for uid in receipt.target_uids] == [
                    letters[message.uid - 1].body for message in receipt.messages
                ]

    @pytest.mark.req("D-52")
    def test_a_message_may_be_given_as_a_stream(self, target: TargetStore) -> None:
        ensure(target, INBOX)
        letters = [letter(1), letter(2, size_bytes=400_000), letter(3)]
        append(target, *((INBOX, one) for one in letters), piece_bytes=10_000)
        assert contents(target, INBOX) == [one.body for one in letters]

    def test_keywords_are_kept_where_the_folder_says_so(self, target: TargetStore) -> None:
        (folder,) = ensure(target, INBOX)
        flags = frozenset({"\\Flagged", "work"} if "\\*" in folder.permanent_flags else {"\\Flagged"})
        append(target, (INBOX, letter(1)._replace(flags=flags)))
        assert scan(target, INBOX)[0].flags == flags

    def test_a_caller_may_ask_for_smaller_bundles(self, target: TargetStore) -> None:
        ensure(target, INBOX)
        receipts = append(target, *((INBOX, letter(number)) for number in range(5)), bundle_messages=1)
        assert [len(receipt.messages) for receipt in receipts] == [1] * 5
        assert len(uids_of(target, INBOX)) == 5

    def test_without_messages_there_are_no_receipts(self, target: TargetStore) -> None:
        assert append(target) == []

    @pytest.mark.req("C-54", "D-69")
    def test_what_goes_to_a_folder_that_is_not_there_is_refused_and_the_rest_is_stored(
        self, target: TargetStore
    ) -> None:
        ensure(target, INBOX)
        receipts = append(target, (INBOX, letter(1)), (("Nowhere",), letter(2)), (INBOX, letter(3)))
        assert [receipt.error and receipt.error.code for receipt in receipts] == [None, "folder.missing", None]
        assert contents(target, INBOX) == [letter(1).body, letter(3).body]

    def test_a_body_that_breaks_off_stores_nothing(self, target: TargetStore) -> None:
        ensure(target, INBOX, ARCHIVE)
        append(target, (INBOX, letter(1)))

        def breaking() -> Iterator[bytes]:
            yield letter(2, size_bytes=200_000).body[:100_000]
            raise MigratorError("line.lost", reply="the source")

        message = addressed(target, INBOX, letter(2, size_bytes=200_000), 1)
        message.whole, message.stream = None, breaking()
        with pytest.raises(MigratorError) as caught:
            list(target.append([message]))
        assert caught.value.reply == "the source"
        assert contents(target, INBOX) == [letter(1).body]
        append(target, (INBOX, letter(3)))
        assert contents(target, INBOX) == [letter(1).body, letter(3).body]

    @pytest.mark.parametrize("end", [MigratorError("line.lost", reply="the source"), Stopped()], ids=["error", "stop"])
    def test_what_was_fed_before_the_feed_ends_early_is_looked_up_or_confirmed(
        self, target: TargetStore, end: Exception
    ) -> None:
        ensure(target, INBOX)
        letters = [letter(number) for number in range(8)]

        def feed() -> Iterator[Message]:
            yield from (addressed(target, INBOX, one, number) for number, one in enumerate(letters))
            raise end

        target.prefix()
        confirmed: list[int] = []
        items = target.append(feed())
        with pytest.raises(type(end)):
            confirmed.extend(message.uid for receipt in items for message in receipt.messages if not receipt.error)
        found = contents(target, INBOX)
        assert found == [one.body for one in letters[: len(found)]]
        assert confirmed == list(range(len(confirmed)))
        assert len(confirmed) <= len(found)

    # flags

    def test_flags_are_replaced_over_many_folders(self, peer: Peer) -> None:
        peer.fill(LETTERS)
        with peer.open(SMALL) as target:
            first, second, third, *_ = uids_of(target, INBOX)
            other = uids_of(target, ARCHIVE)[-1]
            changes = {
                place(target, INBOX): {first: NO_FLAGS, third: frozenset({"\\Seen", "\\Flagged"})},
                place(target, ARCHIVE): {other: frozenset({"\\Answered"})},
            }
            for _ in range(2):
                assert target.set_flags(changes) == []
                flags = {(meta.path.raw, meta.uid): meta.flags for meta in scan(target, INBOX, ARCHIVE)}
                assert flags[b"INBOX", first] == NO_FLAGS
                assert flags[b"INBOX", second] == LETTERS[INBOX][1].flags
                assert flags[b"INBOX", third] == {"\\Seen", "\\Flagged"}
                assert flags[place(target, ARCHIVE).raw, other] == {"\\Answered"}

    def test_flags_of_uids_and_folders_that_are_gone_do_no_harm(self, peer: Peer) -> None:
        peer.fill(LETTERS)
        with peer.open(SMALL) as target:
            uids = uids_of(target, INBOX)
            seen = frozenset({"\\Seen"})
            nowhere = place(target, ("Nowhere",))
            changes = {nowhere: {1: seen}, place(target, INBOX): {uids[-1] + 7: seen, uids[1]: seen}}
            (trouble,) = target.set_flags(changes)
            assert trouble.path == nowhere
            assert scan(target, INBOX)[1].flags == seen
            assert uids_of(target, INBOX) == uids
            assert target.set_flags({}) == []

    # changes

    @pytest.mark.req("D-33")
    def test_a_scan_of_changes_tells_what_changed(self, peer: Peer) -> None:
        peer.fill(LETTERS)
        with peer.open(SMALL) as target:
            uids = uids_of(target, INBOX)
            before = listed(target)[b"INBOX"].highestmodseq
            assert (before is not None) == target.features.condstore
            target.set_flags({place(target, INBOX): {uids[1]: frozenset({"\\Flagged"})}})
            append(target, (INBOX, letter(77)))
            after = listed(target)[b"INBOX"].highestmodseq
            if before is None or after is None:
                assert before is after
                return
            assert after > before
            changed = scan(target, INBOX, changed_since=before)
            assert [meta.uid for meta in changed] == [uids[1], uids_of(target, INBOX)[-1]]
            assert changed[0].flags == {"\\Flagged"}
            assert scan(target, INBOX, changed_since=after) == []


def ensure(target: TargetStore, *names: Name, create: bool = True) -> list[Any]:
    """Make folders and return them; none may fail."""
    found = target.ensure_folders(
        [NewFolder(place(target, name), create and name != INBOX, False, None) for name in names]
    )
    assert not any(isinstance(one, Trouble) for one in found), found
    return found


def addressed(target: TargetStore, name: Name, one: Letter, uid: int, piece_bytes: int | None = None) -> Message:
    """Make a message on its way to the folder ``name``."""
    path = place(target, name)
    stream = None
    if piece_bytes is not None:
        stream = iter([one.body[start : start + piece_bytes] for start in range(0, len(one.body), piece_bytes)])
    return Message(
        FolderPath(b"INBOX"),
        uid,
        len(one.body),
        one.body if stream is None else None,
        stream,
        path,
        one.flags,
        one.internal_date,
        one.zone_minutes,
    )


def append(
    target: TargetStore,
    *letters: tuple[Name, Letter],
    piece_bytes: int | None = None,
    bundle_messages: int | None = None,
) -> list[Receipt]:
    """Append letters, numbered from UID 1 on, and return the receipts."""
    messages = [addressed(target, name, one, uid, piece_bytes) for uid, (name, one) in enumerate(letters, 1)]
    return list(target.append(iter(messages), bundle_messages=bundle_messages))
