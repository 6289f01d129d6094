"""The catalogue of errors: every code is complete, in plain words, and means what callers rely on."""

from __future__ import annotations

import re

import pytest

from migrator.errors import CATALOGUE, MigratorError, OutcomeUnknown, Patience, Radius, Side
from migrator.replies import ROWS

PLACEHOLDER = re.compile(r"%|[{}]")


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_has_two_plain_sentences(code: str) -> None:
    entry = CATALOGUE[code]
    for text in (entry.sentence, entry.next_step):
        assert text[0].isupper()
        assert text.endswith(".")
        assert not PLACEHOLDER.search(text)


@pytest.mark.parametrize("code", CATALOGUE)
def test_codes_are_dotted_lower_case_words(code: str) -> None:
    assert re.fullmatch(r"unknown|[a-z_]+\.[a-z0-9_]+", code)


def test_no_sentence_is_said_of_two_codes() -> None:
    sentences = [entry.sentence for entry in CATALOGUE.values()]
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("code", sorted({row.error for row in ROWS}))
def test_every_code_of_the_reply_table_is_in_the_catalogue(code: str) -> None:
    assert code in CATALOGUE


@pytest.mark.parametrize(
    ("code", "radius", "patience"),
    [
        ("unknown", Radius.ACCOUNT, Patience.LATER),
        ("sign_in.refused", Radius.ACCOUNT, Patience.NEVER),
        ("sign_in.needs_tls", Radius.CONFIG, Patience.NEVER),
        ("sign_in.temporarily_unavailable", Radius.SERVER, Patience.LATER),
        ("server.unreachable", Radius.SERVER, Patience.LATER),
        ("server.certificate", Radius.CONFIG, Patience.NEVER),
        ("server.full", Radius.SERVER, Patience.LATER),
        ("server.throttled", Radius.ACCOUNT, Patience.LATER),
        ("target.full", Radius.ACCOUNT, Patience.LATER),
        ("line.lost", Radius.ACCOUNT, Patience.NOW),
        ("message.too_big", Radius.MESSAGE, Patience.NEVER),
        ("message.bad_date", Radius.MESSAGE, Patience.NOW),
        ("folder.damaged", Radius.FOLDER, Patience.NEVER),
        ("folder.missing", Radius.FOLDER, Patience.NOW),
    ],
)
def test_the_codes_callers_act_on_keep_their_radius_and_patience(code: str, radius: Radius, patience: Patience) -> None:
    assert (CATALOGUE[code].radius, CATALOGUE[code].patience) == (radius, patience)


@pytest.mark.parametrize("code", [code for code in CATALOGUE if code.startswith("sign_in.")])
def test_no_sign_in_error_is_tried_again_at_once(code: str) -> None:
    assert CATALOGUE[code].patience is not Patience.NOW


def test_an_error_tells_its_sentence_and_the_servers_words() -> None:
    error = MigratorError("target.full", reply="[OVERQUOTA] Quota exceeded", side=Side.TARGET)
    assert str(error) == f"target.full: {CATALOGUE['target.full'].sentence} [[OVERQUOTA] Quota exceeded]"
    assert (error.sentence, error.hint) == CATALOGUE["target.full"][2:]


def test_context_overrides_radius_and_patience() -> None:
    error = MigratorError("unknown", radius=Radius.FOLDER, patience=Patience.NEVER, retry_after=5.0, flag="x")
    assert (error.radius, error.patience, error.retry_after) == (Radius.FOLDER, Patience.NEVER, 5.0)
    assert error.params == {"flag": "x"}


def test_a_code_that_is_not_in_the_catalogue_is_a_bug() -> None:
    with pytest.raises(KeyError):
        MigratorError("no.such_code")


def test_an_unknown_outcome_is_a_class_of_its_own() -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        raise OutcomeUnknown("line.lost")
    assert isinstance(caught.value, MigratorError)
