"""Plan, start, watch, say go for and finish a whole batch in the browser alone, between real servers; by hand.

    python -m tests.browser.thousand --accounts 1000

Two Dovecots under one OpenLDAP and the panel as an operator starts it, with servers and campaign set up. All else is
done with a mouse in Chromium: the list is uploaded, the batch started, its page left open until everybody has moved.
It tells how long each part took, and how long the live page waited for its news.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from playwright.sync_api import Page, Response, expect

from tests.rigs.chromium import WIDE, chromium
from tests.rigs.platform import CAMPAIGN, Platform

PASSWORD = "a pass phrase of some length"
_STAFF = f"from campaigns.models import User; User.objects.create_user('dana', password='{PASSWORD}', is_operator=True)"


class Bare(Platform):
    """A platform whose list nobody has brought yet."""

    def _import_list(self) -> None:
        self.tell("shell", "-c", _STAFF)


class Watch:
    """What the page asked for while it was left alone."""

    def __init__(self, page: Page) -> None:
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        page.on("response", self._note)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def _note(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status} {response.url}")
        elif response.url.partition("?")[0].endswith("/live"):
            # The times of a request are whole only once its body is read, which a handler may not wait for
            self.seconds.append(response.request.timing["responseStart"] / 1000)


@contextmanager
def told(part: str) -> Iterator[None]:
    """Tell how long a part took."""
    begun = time.monotonic()
    yield
    print(f"{part}: {time.monotonic() - begun:.1f} s", flush=True)


def sign_in(page: Page) -> None:
    page.goto("/sign-in")
    page.get_by_label("Name").fill("dana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def bring_list(page: Page, platform: Platform, count: int) -> None:
    """Upload the list and take it in; ends on the page of its batch."""
    page.get_by_role("link", name=CAMPAIGN).first.click()
    page.get_by_role("link", name="Batches", exact=True).click()
    page.get_by_role("link", name=re.compile("list", re.IGNORECASE)).first.click()
    page.locator("input[type=file]").set_input_files(platform.panel.dir / "list.tsv")
    page.get_by_role("button", name="Read the list").click()
    expect(page.locator(".mf-sentence")).to_contain_text(f"{count:,} of {count:,} rows can be used")
    page.get_by_role("button", name=re.compile("^Use these")).click()
    page.goto("/batches/1")


def drive(page: Page, platform: Platform, count: int, seconds: float) -> None:
    """Do all that an operator does, from signing in to the last account."""
    with told("signed in, the list read and taken in"):
        sign_in(page)
        bring_list(page, platform, count)
    start = page.get_by_role("button", name="Start", exact=True)
    if start.count():  # else the list was taken in with a start at once
        start.click()
    with told("copied ahead, watched"):
        expect(page.get_by_role("button", name="Say go")).to_be_visible(timeout=seconds * 1000)
        copied = re.compile(rf"{count:,} of {count:,} are copied ahead")
        expect(page.locator("#sentence")).to_have_text(copied, timeout=seconds * 1000)
    page.get_by_role("button", name="Say go").first.click()
    if page.get_by_label("to confirm").count():
        page.get_by_label("to confirm").fill(str(count))
    page.locator("main .btn-primary").click()
    with told("moved, watched"):
        moved = re.compile(rf"{count:,} of {count:,} are on the new server\.")
        expect(page.locator("#sentence")).to_have_text(moved, timeout=seconds * 1000)


def main() -> int:
    """Move a batch from the browser; 0 when all went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.thousand")
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1800, help="that each half may take")
    chosen = parser.parse_args()
    with Bare(chosen.accounts, recipe="plain") as platform, chromium() as browser:
        page = browser.new_context(viewport=WIDE, base_url=f"http://localhost:{platform.panel.port}").new_page()
        page.set_default_timeout(60_000)
        watch = Watch(page)
        drive(page, platform, chosen.accounts, chosen.seconds)
        wrong = [*watch.wrong, *platform.differences(platform.users)]
    print(
        f"{len(watch.seconds)} live answers, median {median(watch.seconds):.3f} s, longest {max(watch.seconds):.3f} s"
    )
    print("\n".join([*wrong[:20], f"{len(wrong)} things wrong"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
