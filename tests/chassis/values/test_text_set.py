"""A set of texts in a file: what was written is found, little else, and another file is refused."""

from pathlib import Path

import pytest

from chassis.values import text_set
from chassis.values.text_set import TextSet


def test_what_was_written_is_found_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "set.bin"
    texts = {f"text {number}" for number in range(20_000)} | {"", "\ud800", "密码"}
    assert text_set.write(file, [*texts, "text 1"]) == len(texts)
    found = TextSet(file)
    assert len(found) == len(texts)
    assert all(text in found for text in texts)
    assert not any(f"another {number}" in found for number in range(20_000))


@pytest.mark.parametrize("content", [b"x", b"another file\n" + bytes(300_000), b""])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "set.bin"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="set of texts|empty"):
        TextSet(file)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "set.bin"
    text_set.write(file, ["one", "two"])
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="no set of texts"):
        TextSet(file)
