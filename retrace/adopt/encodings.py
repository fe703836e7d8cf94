"""Which encoding a text file is in."""

import codecs
import re
from itertools import islice
from pathlib import Path

from charset_normalizer import from_bytes

from retrace.tables.files import opened

CHUNK = 1 << 20  # bytes
HEAD = 4000  # bytes that tell UTF-16 and UTF-32
MOST_LINES = 1000  # that are looked at where the encoding is guessed
FEWEST_LETTERS = 3  # beyond ASCII; fewer do not tell an alphabet
WIDE = ("utf-16", "utf-32")
CONTROLS = re.compile(r"[\0-\x08]")  # which text does not hold
MARKS = {  # the longer first, as that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SYMBOLS = "€£¥§©®°±²³µ·¼½¾\u00a0".encode("cp1252")  # that a table without other letters may hold
EASTERN = ["cp1251", "koi8_r", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp1253", "cp1255", "cp1256"]


def encoding_of(file: Path) -> str | None:
    """UTF-8, UTF-16 or UTF-32 if a file is that, None for ASCII; else what the words look like, which may be wrong."""
    with opened(file) as stream:
        if wide := _wide_encoding(stream.read(HEAD)):
            return wide
        stream.seek(0)
        decoder, ascii_only = codecs.getincrementaldecoder("utf-8")(), True
        try:
            for chunk in iter(lambda: stream.read(CHUNK), b""):
                ascii_only = ascii_only and chunk.isascii()
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            pass
        else:
            return None if ascii_only else "utf-8"
        stream.seek(0)
        lines = list(islice((line for line in stream if not line.isascii()), MOST_LINES))
    return _guessed(b"".join(lines))


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, by the mark at the start or by the zeros that most letters then have."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
            text = head.decode(encoding, "ignore")
            if not CONTROLS.search(text) and 4 * sum(map(str.isascii, text)) > len(head) / 2:
                return encoding
    return None


def _guessed(sample: bytes) -> str:
    """The encoding that lines with letters beyond ASCII look like."""
    if set(sample) - set(range(128)) <= set(SYMBOLS):
        return "cp1252"
    letters = sum(chr(byte).isalpha() for byte in sample if byte < 128)
    if sum(byte > 127 for byte in sample) > max(letters, FEWEST_LETTERS):
        found = from_bytes(sample, cp_isolation=EASTERN).best()
        if found:
            return found.encoding
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"
