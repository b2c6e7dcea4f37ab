"""Read a page as a browser does: its tags, texts and every address in it."""

import re
from html.parser import HTMLParser
from pathlib import Path

ADDRESSES = {"src", "href", "action", "data", "poster", "srcset", "xlink:href", "formaction"}
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Attributes: tags by name, all texts, addresses, and event handlers."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == [], "tags that are never closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def sections(self) -> list[str]:
        return [attrs.get("id") for tag, attrs in self.tags if tag == "section"]

    def images(self) -> list[str]:
        return [attrs["src"] for tag, attrs in self.tags if tag == "img"]

    def check_stays_inside(self) -> None:
        """No script, no event handler, no address but anchors and pictures in the page itself."""
        assert not {tag for tag, _ in self.tags} & {"script", "iframe", "object", "embed", "form"}
        for tag, attrs in self.tags:
            for name, value in attrs.items():
                assert not name.startswith("on"), (tag, name)
                if name in ADDRESSES:
                    assert value.startswith(("#", "data:image/", "data:,")), (tag, name, value)
        style = "".join(re.findall(r"<style>(.*?)</style>", self.source, re.S))
        assert "url(" not in style and "@import" not in style
