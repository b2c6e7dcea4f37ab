"""No message shows what an address keeps secret."""

import pytest

from paddlevideo.utils.source_names import public_name, without_secrets


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://user:secret@cam/1?token=secret", "rtsp://cam/1"),
        ("rtsp://user:se/cret@cam:554/1#secret", "rtsp://cam:554/1"),
        ("rtsp://user:p@secret@cam/1", "rtsp://cam/1"),
        ("srt://cam:9000?passphrase=secret", "srt://cam:9000"),
        ("http://cam/a.ts", "http://cam/a.ts"),
        ("http://cam/@name/a.ts", "http://cam/@name/a.ts"),
        ("a folder/b?c@d.mp4", "a folder/b?c@d.mp4"),
        (3, "3"),
    ],
)
def test_public_names(source, shown):
    assert public_name(source) == shown


def test_addresses_in_the_words_of_a_library():
    url = "rtsp://user:secret@cam/1"
    text = f"'{url}' failed after http://me:secret@host/x?key=secret"
    assert without_secrets(text, url) == "'rtsp://cam/1' failed after http://host/x"
    assert without_secrets("a // b", "c.mp4") == "a // b"
