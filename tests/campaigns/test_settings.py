"""Each setting is read once; a wrong one is a sentence that names it, and never shows a secret."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

SETTINGS = Path(__file__).parents[2] / "campaigns/settings.py"
KEY = "A" * 43 + "="


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("MAILFERRY_", "DATABASE_URL", "REDIS_URL"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MAILFERRY_DATA", str(tmp_path / "data"))


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


def test_nothing_need_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = read(monkeypatch)
    assert (found["URL"], found["BIND"], found["REDIS_URL"]) == ("http://localhost:8000", "127.0.0.1", "")
    assert found["DATABASES"]["default"]["NAME"] == tmp_path / "data/mailferry.sqlite3"
    assert [path.parent for path in found["MISSING_KEYS"]] == [tmp_path / "data/keys"] * 2
    assert not (tmp_path / "data").exists()


def test_sqlite_waits_instead_of_failing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch)["DATABASES"]["default"]["OPTIONS"] == {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MAILFERRY_PORT": "http"}, "MAILFERRY_PORT is 'http': it must be a whole number from 1 to 65535."),
        ({"MAILFERRY_PORT": "65536"}, "whole number"),
        ({"MAILFERRY_PORT": "0"}, "whole number"),
        ({"MAILFERRY_LANES": "-1"}, "MAILFERRY_LANES"),
        ({"MAILFERRY_MAIL_FOLDERS": "/"}, "whole path of a folder, and not /"),
        ({"MAILFERRY_MAIL_FOLDERS": "/var/mail:mail"}, "MAILFERRY_MAIL_FOLDERS names mail"),
        ({"MAILFERRY_MAIL_FOLDERS": "/srv/../etc"}, "/srv/../etc"),
        ({"MAILFERRY_MAIL_FOLDERS": "/srv", "MAILFERRY_DATA": "/srv/panel"}, "Mailferry's own data is in /srv/panel"),
        ({"MAILFERRY_PROGRAMS": "programs"}, "MAILFERRY_PROGRAMS names programs"),
        ({"MAILFERRY_PROGRAMS": "/srv/a:/srv/b"}, "MAILFERRY_PROGRAMS names 2 folders"),
        ({"MAILFERRY_PROGRAMS": "/srv/panel/bin", "MAILFERRY_DATA": "/srv/panel"}, "Mailferry's own data"),
        ({"MAILFERRY_BIND": "everywhere"}, "MAILFERRY_BIND"),
        ({"MAILFERRY_TRUSTED_PROXY": "proxy.example.org"}, "MAILFERRY_TRUSTED_PROXY"),
        ({"MAILFERRY_URL": "move.example.org"}, "MAILFERRY_URL"),
        ({"MAILFERRY_URL": "https://move.example.org/panel"}, "MAILFERRY_URL"),
        ({"MAILFERRY_URL": "https://anna:pw@move.example.org"}, "MAILFERRY_URL"),
        ({"MAILFERRY_TLS_CERTIFICATE": "/nowhere/tls.crt"}, "/nowhere/tls.crt, which is not a file"),
        ({"MAILFERRY_TLS_CERTIFICATE": str(SETTINGS)}, "go together"),
        ({"MAILFERRY_SECRET_KEY_FILE": "/nowhere/key"}, "MAILFERRY_SECRET_KEY_FILE names /nowhere/key"),
        ({"MAILFERRY_SECRET_KEY": "x", "MAILFERRY_SECRET_KEY_FILE": str(SETTINGS)}, "leave one out"),
        ({"MAILFERRY_VAULT_KEYS": f"{KEY} short"}, "key 2 is not 32 bytes"),
        ({"DATABASE_URL": "mysql://anna:pw-7@db/mail"}, "DATABASE_URL must be"),
        ({"DATABASE_URL": "postgresql://anna:pw-7@db"}, "DATABASE_URL must be"),
        ({"DATABASE_URL": "postgresql://anna:pw-7@db:port/mail"}, "DATABASE_URL cannot be read"),
        ({"DATABASE_URL": "sqlite://relative.db"}, "DATABASE_URL must be"),
        ({"REDIS_URL": "amqp://guest:pw-7@mq"}, "REDIS_URL must be"),
    ],
)
def test_a_wrong_value_stops_the_start_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        read(monkeypatch, **variables)
    assert words in str(refused.value)
    assert str(refused.value).endswith(".") or "percent code" in str(refused.value)
    assert "pw-7" not in str(refused.value)


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_address_that_others_reach_needs_tls_or_a_named_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bind: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"in the clear.*MAILFERRY_TLS_CERTIFICATE.*MAILFERRY_TRUSTED_PROXY"):
        read(monkeypatch, MAILFERRY_BIND=bind)
    assert read(monkeypatch, MAILFERRY_TRUSTED_PROXY="192.0.2.7, 10.0.0.0/8")["TRUSTED_PROXY"] == (
        "192.0.2.7/32",
        "10.0.0.0/8",
    )
    monkeypatch.delenv("MAILFERRY_TRUSTED_PROXY")
    for name in ("certificate", "key"):
        (tmp_path / name).touch()
        monkeypatch.setenv(f"MAILFERRY_TLS_{name.upper()}", str(tmp_path / name))
    assert read(monkeypatch)["URL"] == "https://localhost:8000"


def test_cookies_leave_the_browser_by_tls_alone_where_people_type_https(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read(monkeypatch)["SESSION_COOKIE_SECURE"]
    found = read(monkeypatch, MAILFERRY_URL="https://move.example.org/")
    assert found["SESSION_COOKIE_SECURE"]
    assert found["CSRF_COOKIE_SECURE"]
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://move.example.org"]
    assert "move.example.org" in found["ALLOWED_HOSTS"]


def test_a_variable_that_is_no_setting_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILFERRY_TEST_BOX", "x")
    assert read(monkeypatch, MAILFERRY_PROT="8001", MAILFERRY_PORT="8002")["UNKNOWN_VARIABLES"] == ["MAILFERRY_PROT"]


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://anna:p%40ss%2F@db.example.org:5433/mail?sslmode=verify-full\n")
    found = read(monkeypatch, DATABASE_URL_FILE=str(file))["DATABASES"]["default"]
    wanted = {"NAME": "mail", "USER": "anna", "PASSWORD": "p@ss/", "HOST": "db.example.org", "PORT": "5433"}
    assert found.items() >= wanted.items()
    assert found["OPTIONS"]["sslmode"] == "verify-full"


def test_keys_come_from_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = tmp_path / "data/keys"
    keys.mkdir(parents=True)
    (keys / "secret_key").write_text("one\n")
    (keys / "vault_keys").write_text(f"{KEY}\n{KEY}\n")
    found = read(monkeypatch)
    assert (found["SECRET_KEY"], found["VAULT_KEYS"], found["MISSING_KEYS"]) == ("one", (KEY, KEY), [])
    (keys / "secret_key").write_text("")
    with pytest.raises(ImproperlyConfigured, match=r"secret_key is empty\."):
        read(monkeypatch)
