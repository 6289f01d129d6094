"""A secret never shows itself."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest

from migrator.secret import Secret

WORD = 'p"w \\%d ü {0}'


@dataclass(frozen=True)
class Login:
    user: str
    password: Secret


def test_only_reveal_gives_it_out() -> None:
    assert Secret(WORD).reveal() == WORD


def test_it_is_the_same_in_every_way_of_printing() -> None:
    secret = Secret(WORD)
    template = "%s %r"
    ways = (str(secret), repr(secret), ascii(secret), f"{secret}", f"{secret!r:>10}", template % (secret, secret))
    for shown in ways:
        assert WORD not in shown
        assert "***" in shown
    assert repr(Login("anna", secret)) == "Login(user='anna', password=Secret(***))"


def test_a_log_line_does_not_hold_it(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("trial").warning("signing in %s with %r", "anna", Secret(WORD))
    assert WORD not in caplog.text


def test_a_traceback_with_local_variables_does_not_hold_it() -> None:
    def sign_in(password: Secret) -> None:
        raise RuntimeError(f"refused {password}")

    try:
        sign_in(Secret(WORD))
    except RuntimeError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert not any(WORD in line for line in told.format())


@pytest.mark.parametrize("serialise", [pickle.dumps, json.dumps, copy.deepcopy, copy.copy])
def test_it_is_not_serialised_or_copied(serialise: object) -> None:
    with pytest.raises(TypeError):
        serialise(Secret(WORD))


def test_it_has_no_attributes_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(Secret(WORD))


def test_it_is_neither_compared_nor_kept_in_sets() -> None:
    assert Secret(WORD) != Secret(WORD)  # an equal answer would allow guessing
    with pytest.raises(TypeError):
        hash(Secret(WORD))
