"""What a script needs and where it files, read past comments, strings and what is no Sieve at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migrator.transfer import sieve_text

SCRIPT = b"""require ["fileinto", "copy", "comparator-i;octet"];
# require "commented";
/* fileinto "No"; */
require "vacation";
if header :contains "subject" ["fileinto", "x"] { fileinto :copy "Work/A \\"b\\""; stop; }
elsif not true { fileinto :flags ["\\\\Seen"] :create "Caf\xc3\xa9"; }
vacation :days 7 :fcc "Sent" text:
fileinto "In the text";
.
;
fileinto "Work/A \\"b\\"";
keep;
"""


def test_required_extensions_are_found_without_those_that_every_server_has() -> None:
    assert sieve_text.required(SCRIPT) == {"fileinto", "copy", "vacation"}


def test_folders_are_found_where_mail_is_filed_and_nowhere_else() -> None:
    assert sieve_text.folders(SCRIPT) == ['Work/A "b"', "Café", "Sent"]


@given(st.binary(max_size=300))
def test_whatever_is_in_a_script_it_is_read_to_its_end(script: bytes) -> None:
    sieve_text.folders(script)
    sieve_text.required(b"require " + script)
