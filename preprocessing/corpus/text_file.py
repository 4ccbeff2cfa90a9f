"""Text files as other programs and systems write them: UTF-8 or, with a byte order mark, UTF-16; lines end with CR, LF
or CRLF and nothing else, since U+2028, U+0085 and vertical tabs belong to a text."""

import codecs
import re
from pathlib import Path

from lipkd.errors import LipkdError

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
LINE_END = re.compile(r"\r\n|\r|\n")


def read_text(path: Path) -> str:
    """The content of a file, line ends as they are; raises LipkdError when it cannot be read or is in no Unicode."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LipkdError(f"{path}: cannot be read ({error.strerror})") from error
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise LipkdError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    if "\0" in text:
        raise LipkdError(f"{path}: not UTF-8 text (zero bytes in it); save it as UTF-8")
    return text.removeprefix("\ufeff")


def split_lines(text: str) -> list[str]:
    """The lines of a text without their ends."""
    return LINE_END.split(text)
