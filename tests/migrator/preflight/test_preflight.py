"""What is found before anything is done, on which side, and with how many tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from migrator.errors import MigratorError, Side
from migrator.preflight import CHECKS, Door, Scope, Subject, run_checks
from migrator.secret import Secret
from migrator.stores.base import Store
from migrator.testing import FaultPlan, MemoryMailbox, MemorySource
from migrator.testing.connectors import MemoryDirectory, MemoryRoute, Rows

ANNA = "anna@example.test"
SSHA = "{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3"


@dataclass
class Server:
    """A server that knows who may sign in, and counts who tried."""

    side: Side
    password: str = "secret"
    opens_disabled: bool = True
    rows: Rows = field(default_factory=lambda: {ANNA: {"status": "active", "host": "old.example.test"}})
    error: MigratorError | None = None
    tries: list[str] = field(default_factory=list)

    def opener(self, who: str, password: str) -> Callable[[], Store]:
        def connect() -> Store:
            return _Signed(self, who, password)

        return connect

    def admits(self, who: str, password: str) -> None:
        self.tries.append(who)
        if self.error:
            raise self.error
        is_active = self.rows[ANNA]["status"] == "active"
        if not (is_active or (who == "admin" and self.opens_disabled)):
            raise MigratorError("sign_in.admin_refused" if who == "admin" else "sign_in.refused")
        if who != "admin" and password != self.password:
            raise MigratorError("sign_in.refused", reply="NO [AUTHENTICATIONFAILED]")

    def door(self, *, password: str | None = "secret", has_admin: bool = True, **fields: object) -> Door:
        opener = self.opener("admin", "") if password is None else self.opener("anna", password)
        return Door(
            **{
                "side": self.side,
                "open": opener,
                "address": ANNA,
                "password": None if password is None else Secret(password),
                "open_as_admin": self.opener("admin", "") if has_admin else None,
                **fields,
            }
        )

    def governed(self, **fields: object) -> Door:
        return self.door(directory=MemoryDirectory(self.rows), is_governed=True, **fields)


class _Signed(MemorySource):
    def __init__(self, server: Server, who: str, password: str) -> None:
        super().__init__(MemoryMailbox(), FaultPlan())
        self._admit = lambda: server.admits(who, password)

    def _connect(self) -> None:
        if self._session is None:
            self._admit()
        super()._connect()


@pytest.fixture
def source() -> Server:
    return Server(Side.SOURCE)


@pytest.fixture
def target() -> Server:
    return Server(Side.TARGET)


def found(*doors: Door, scope: Scope = Scope.STAGE, route: MemoryRoute | None = None) -> list[tuple[str, str, object]]:
    failures = run_checks(Subject(doors, ANNA, route), scope)
    return [(failure.check, failure.error.code, failure.error.side) for failure in failures]


def test_an_account_that_opens_on_both_sides_passes_with_one_sign_in_each(source: Server, target: Server) -> None:
    assert found(source.door(), target.door(password=None)) == []
    assert (source.tries, target.tries) == (["anna"], ["admin"])


def test_a_wrong_password_is_tried_once_and_ends_the_trying(source: Server, target: Server) -> None:
    wrong = source.door(password="wrong"), target.door(password="wrong")
    assert found(*wrong) == [("sign_in", "sign_in.refused", Side.SOURCE)]
    assert (source.tries, target.tries) == (["anna"], [])


def test_a_password_that_was_refused_before_is_not_sent_again(source: Server, target: Server) -> None:
    assert found(source.door(was_refused=True), target.door()) == [("sign_in", "sign_in.refused", Side.SOURCE)]
    assert found(source.door(), target.door(was_refused=True)) == [("sign_in", "sign_in.refused", Side.TARGET)]
    assert (source.tries, target.tries) == (["anna"], [])


def test_administrators_are_told_of_on_both_sides(source: Server, target: Server) -> None:
    source.error, target.error = MigratorError("server.unreachable"), MigratorError("server.unreachable")
    assert [side for _, _, side in found(source.door(password=None), target.door(password=None))] == list(Side)


def test_what_an_earlier_password_did_does_not_bind_the_administrator(source: Server) -> None:
    assert found(source.door(password=None, was_refused=True)) == []


def test_a_server_that_is_away_is_told_with_its_side(source: Server, target: Server) -> None:
    target.error = MigratorError("server.unreachable", reply="connection refused")
    assert found(source.door(), target.door()) == [("sign_in", "server.unreachable", Side.TARGET)]


@pytest.mark.parametrize("text", [SSHA, "$1$abcdefgh$" + "a" * 22, "{CRYPT}aabbccddeeffg"])
def test_a_hash_given_as_password_is_told_and_never_sent(source: Server, target: Server, text: str) -> None:
    assert found(source.door(password=text), target.door()) == [("hashes", "sign_in.hash_given", Side.SOURCE)]
    assert source.tries == target.tries == []


def test_a_password_that_only_might_be_a_hash_is_tried(source: Server) -> None:
    source.password = "aabbccddeeffg"
    assert found(source.door(password=source.password)) == []


def test_a_governed_side_needs_an_administrator_who_opens_this_mailbox(source: Server, target: Server) -> None:
    assert found(source.governed(has_admin=False), target.door()) == [
        ("admin_access", "preflight.no_admin", Side.SOURCE)
    ]
    assert found(source.governed(), target.governed(password=None)) == []
    assert (source.tries[-2:], target.tries[-1:]) == (["anna", "admin"], ["admin"])


def test_a_user_whom_the_directory_does_not_know_is_not_signed_in(source: Server, target: Server) -> None:
    del target.rows[ANNA]
    assert found(source.governed(), target.governed()) == [("governance", "directory.missing", Side.TARGET)]
    assert source.tries == target.tries == []


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("OLD.example.test", None),
        ("new.example.test", "preflight.switched_already"),
        ("elsewhere.example.test", "route.elsewhere"),
    ],
)
def test_the_source_must_be_the_one_that_serves(source: Server, host: str, code: str | None) -> None:
    route = MemoryRoute({ANNA: {"host": host}})
    assert found(source.door(), route=route) == ([("governance", code, None)] if code else [])


def test_a_directory_that_is_away_is_told(source: Server) -> None:
    door = source.door(directory=MemoryDirectory(source.rows, FaultPlan(0, "line")), is_governed=True)
    assert [code for _, code, _ in found(door)] == ["line.lost"]


@pytest.mark.parametrize("scope", [Scope.SURVEY])
def test_the_administrator_must_open_the_mailbox_of_somebody_disabled(source: Server, scope: Scope) -> None:
    source.rows[ANNA]["status"] = "inactive"
    assert found(source.governed(), scope=scope) == []
    source.opens_disabled = False
    assert found(source.governed(), scope=scope) == [("disabled_access", "sign_in.admin_refused", Side.SOURCE)]
    assert found(source.governed(has_admin=False), scope=scope) == [
        ("disabled_access", "preflight.no_admin", Side.SOURCE)
    ]


def test_nothing_is_proved_on_somebody_who_is_not_disabled(source: Server) -> None:
    assert found(source.governed(), scope=Scope.SURVEY) == [("disabled_access", "preflight.not_disabled", Side.SOURCE)]
    assert source.tries == []


def test_a_side_that_nobody_governs_needs_no_survey(source: Server) -> None:
    assert found(source.door(), scope=Scope.SURVEY) == []
    assert source.tries == []


def test_checks_have_names_of_their_own() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
