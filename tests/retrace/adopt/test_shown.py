"""What adopt advises can be pasted into a shell."""

import subprocess

import pytest

from retrace.adopt.command import parse
from retrace.adopt.shown import option, typed
from retrace.errors import one_line


@pytest.mark.parametrize("value", ["x", "-x", "--", "a b", "it's", "a\nb", "no\u00a0break", "\\", "größe\u200b"])
def test_an_advised_option_gives_its_value_to_the_command(value: str):
    words = one_line(f"a.csv --target y {option('--missing', value)} {typed(value, 'text')}")
    found = subprocess.run(["bash", "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True).stdout.decode()
    arguments = parse(found.split("\0")[:-1])
    assert arguments.missing == [value]
    assert arguments.type == [(value, "text")]
