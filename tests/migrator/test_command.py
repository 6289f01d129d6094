"""A program runs with the words it was given, no shell, and ends in its time."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from pathlib import Path

import pytest

from migrator.command import OUTPUT_BYTES, REPLY_CHARACTERS, Answer, Command, argument, run
from migrator.errors import MigratorError, Patience


def python(code: str, *, seconds: float = 30.0, **environment: str) -> Command:
    return Command((sys.executable, "-c", code), seconds, environment)


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_running(pid)


def test_a_word_reaches_the_program_as_it_is() -> None:
    odd = ["$(id)", "`id`", "a b", "'\"", "; rm x", "*", "ü", "", "a\\b"]
    answer = run(python("import sys; print(ascii(sys.argv[1:]))"), odd)
    assert answer == Answer(0, ascii(odd) + "\n", "")


def test_no_shell_reads_the_first_words(tmp_path: Path) -> None:
    answer = run(Command(("echo", "$HOME;", f"touch {tmp_path}/x")))
    assert answer.out == f"$HOME; touch {tmp_path}/x\n"
    assert list(tmp_path.iterdir()) == []


def test_words_that_a_far_shell_reads_are_quoted_for_it(tmp_path: Path) -> None:
    far = tmp_path / "ssh"
    far.write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')  # what sshd does with the words it gets
    far.chmod(0o755)
    odd = ["$(id)", "o'neil; exit 9", "a  b", "*", "ü"]
    answer = run(Command((str(far), "mail.example.test", "printf", "'%s\\n'")), odd)
    assert answer == Answer(0, "\n".join(odd) + "\n", "")


def test_the_environment_is_the_commands_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    answer = run(python("import os; print(sorted(os.environ))", MAILFERRY_SIDE="source"))
    assert answer.out == f"{sorted(['PATH', 'LC_ALL', 'MAILFERRY_SIDE'])}\n"


def test_what_a_program_prints_while_we_are_kept_waiting_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(selectors.DefaultSelector):
        """A machine so busy that the program prints and ends between our look and our next line."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            found = super().select(0)
            with contextlib.suppress(ChildProcessError):  # it is gone and buried
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            return found

    monkeypatch.setattr("migrator.command.selectors.DefaultSelector", Busy)
    assert run(python("import time; time.sleep(0.1); print('[]')")) == Answer(0, "[]\n", "")


def test_the_program_reads_nothing_and_stands_in_the_root_folder() -> None:
    assert run(python("import os, sys; print(repr(sys.stdin.read()), os.getcwd())")).out == "'' /\n"


def test_an_exit_code_is_an_answer_and_its_failure_has_the_last_words() -> None:
    answer = run(python("import sys; print('told'); print('x' * 600 + ' no such user', file=sys.stderr); sys.exit(67)"))
    failure = answer.failure()
    assert (answer.code, answer.out) == (67, "told\n")
    assert (failure.code, failure.params, failure.patience) == ("command.failed", {"exit_code": 67}, Patience.NEVER)
    assert failure.reply.endswith("x no such user")
    assert len(failure.reply) == REPLY_CHARACTERS


def test_a_failure_that_the_program_calls_temporary_may_be_tried_later() -> None:
    assert run(python("raise SystemExit(75)")).failure().patience is Patience.LATER


def test_a_program_that_speaks_only_on_its_output_is_quoted_from_there() -> None:
    assert run(python("print('sorry'); raise SystemExit(1)")).failure().reply == "sorry"


def test_a_program_that_dies_of_a_signal_has_failed() -> None:
    answer = run(python("import os; os.kill(os.getpid(), 9)"))
    assert answer.code == -signal.SIGKILL
    failure = answer.failure()
    # It said nothing of what it was asked, so nobody has to mend anything before it is asked again.
    assert (failure.code, failure.reply, failure.patience) == ("command.failed", "(ended by signal 9)", Patience.LATER)


@pytest.mark.parametrize("word", ["/nowhere/doveadm", "mailferry-no-such-program", "/etc", "/etc/passwd"])
def test_a_program_that_cannot_be_started_is_named(word: str) -> None:
    with pytest.raises(MigratorError) as caught:
        run(Command((word,)), ["argument"])
    assert caught.value.code == "command.missing"
    assert caught.value.reply.startswith(f"{word}: ")


def test_a_slow_program_is_ended_in_time() -> None:
    begun = time.monotonic()
    with pytest.raises(MigratorError) as caught:
        run(Command(("sleep", "600"), 1.0))
    assert 1.0 <= time.monotonic() - begun < 10
    assert (caught.value.code, caught.value.params) == ("command.slow", {"seconds": 1})


def test_the_children_of_a_slow_program_are_ended_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(MigratorError):
        run(Command(("sh", "-c", 'sleep 600 & echo $! >"$0"; wait', str(note)), 2.0))
    wait_until_gone(int(note.read_text()))


def test_a_program_that_closes_its_streams_and_stays_is_slow() -> None:
    with pytest.raises(MigratorError) as caught:
        run(python("import os, time; os.close(1); os.close(2); time.sleep(600)", seconds=0.5))
    assert caught.value.code == "command.slow"


def test_a_child_left_in_the_background_is_not_waited_for() -> None:
    code = "import subprocess; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True)"
    begun = time.monotonic()
    answer = run(python(code))
    os.kill(int(answer.out), signal.SIGKILL)
    assert time.monotonic() - begun < 10


def test_a_flood_of_words_is_kept_only_up_to_its_limit() -> None:
    code = "import sys; w = sys.stdout.buffer.write; [w(b'x' * 65536) for _ in range(160)]; sys.stderr.write('end')"
    answer = run(python(code))
    assert (len(answer.out), answer.err) == (OUTPUT_BYTES, "end")


def test_words_that_are_no_text_are_read_all_the_same() -> None:
    assert run(python(r"import sys; sys.stdout.buffer.write(b'\xff\xfeok')")).out == "\ufffd\ufffdok"


@pytest.mark.parametrize("text", ["", "-A", "--help", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\u2028b", "a\udcffb"])
def test_a_name_that_programs_misread_is_refused(text: str) -> None:
    with pytest.raises(MigratorError) as caught:
        argument(text)
    assert caught.value.code == "address.bad"
    assert caught.value.reply == ""


@pytest.mark.parametrize("text", ["anna@example.org", "a-b", "o'neil", "müller@example.org", "a b", "$x;y"])
def test_a_plain_name_is_passed_on(text: str) -> None:
    assert argument(text) == text


@pytest.mark.parametrize(
    "words",
    [
        {"words": ()},
        {"words": ("",)},
        {"words": ("a", "b\0")},
        {"words": ("a",), "timeout_seconds": 0},
        {"words": ("a",), "environment": {"A=B": "c"}},
        {"words": ("a",), "environment": {"A": "c\0"}},
    ],
)
def test_words_that_cannot_be_run_are_refused_at_once(words: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Command(**words)


def test_a_program_may_print_more_than_is_kept_when_it_is_heard_line_by_line() -> None:
    heard: list[str] = []
    count = OUTPUT_BYTES // 8
    answer = run(
        python(f"for number in range({count}): print('line', number)\nprint('end', end='')"), lines=heard.append
    )
    assert heard == [*(f"line {number}" for number in range(count)), "end"]
    assert answer == Answer(0, "", "")
