"""The pages: links lead somewhere, all are listed, both languages agree, tables are the code's."""

import re
from pathlib import Path

import pytest
import yaml
from test_imports import ALLOWED

from paddlevideo.modeling.backbones.movinet.specs import SPECS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "data").rglob("*.md")],
    key=lambda page: page.relative_to(ROOT).parts,
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def short(page):
    return str(page.relative_to(ROOT))


def prose(page):
    """The text without blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """The names that headings get: lower case, blanks as hyphens, no other signs."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_links_lead_somewhere(page):
    for target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def code_of_the_project(page):
    """The text without examples in Python, which may name files that are to be written."""
    return re.sub(r"^```python\n.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_files_of_the_project_that_a_page_names_are_there(page):
    names = re.findall(
        r"(?<![\w/.])(?:paddlevideo|tools|benchmarks|tests|configs)/[\w/]+\.(?:py|yaml)",
        code_of_the_project(page),
    )
    assert [name for name in names if "NAME" not in name and not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_modules_that_a_page_names_are_there(page):
    for name in re.findall(r"(?<![\w/])paddlevideo((?:\.\w+)+)", page.read_text(encoding="utf-8")):
        place, parts = ROOT / "paddlevideo", name.split(".")[1:]
        while parts and (place / parts[0]).is_dir():
            place /= parts.pop(0)
        is_module = not parts or (place / f"{parts[0]}.py").exists()
        assert is_module or is_named_in(place, parts[0]), name


def is_named_in(package, name):
    """Whether a package's own file defines or imports a name; `paddlevideo.md` is a page."""
    text = (package / "__init__.py").read_text(encoding="utf-8")
    return name == "md" or re.search(rf"\b{name}\b", text) is not None


def listed(nav):
    for item in nav:
        (value,) = item.values() if isinstance(item, dict) else (item,)
        yield from [value] if isinstance(value, str) else listed(value)


def test_every_page_is_in_the_navigation():
    nav = list(listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    assert sorted(nav) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_every_page_is_on_the_first_one():
    linked = set(LINK.findall(prose(DOCS / "index.md")))
    assert linked >= {page.name for page in DOCS.glob("*.md")} - {"index.md"}


def test_every_part_has_a_page_of_the_reference():
    packages = {path.parent.name for path in (ROOT / "paddlevideo").glob("*/__init__.py")}
    pages = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    named = re.findall(r"^::: paddlevideo\.(\w+)", pages, re.M)
    assert set(named) - {"api"} == packages - {"cli"}


def sections(page):
    """Of each section: its level, code without comments, numbers, pictures and links."""
    text = page.read_text(encoding="utf-8")
    code = iter(FENCE.findall(text))
    found = []
    for part in re.split(r"^(?=#+ )", FENCE.sub("\0", text), flags=re.M)[1:]:
        blocks = [next(code) for _ in range(part.count("\0"))]
        links = [link for link in LINK.findall(part) if not link.startswith("README")]
        found.append(
            {
                "level": len(part) - len(part.lstrip("#")),
                "code": [(language, without_comments(block)) for language, block in blocks],
                "numbers": sorted(re.findall(r"\d[\d.]*\d|\d", LINK.sub("", part))),
                "links": links,
                "names": sorted(re.findall(r"`[^`]+`", part)),
            }
        )
    return found


def without_comments(block):
    return [re.sub(r"(^|\s+)# .*", "", line) for line in block.splitlines()]


def test_both_readmes_say_the_same():
    english, chinese = sections(ROOT / "README.md"), sections(ROOT / "README.zh-CN.md")
    assert len(english) == len(chinese) > 5
    for one, other in zip(english, chinese, strict=True):
        assert one == other


@pytest.mark.parametrize(("page", "other"), [("README.md", "README.zh-CN.md")])
def test_readmes_name_each_other(page, other):
    assert f"({other})" in (ROOT / page).read_text(encoding="utf-8").partition("\n## ")[0]
    assert f"({page})" in (ROOT / other).read_text(encoding="utf-8").partition("\n## ")[0]


def table(page, first_line):
    lines = page.read_text(encoding="utf-8").splitlines()
    start = lines.index(first_line) + 2
    end = next(n for n in range(start, len(lines)) if not lines[n].startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]


def test_the_tables_of_the_network_are_the_codes():
    found = table(
        DOCS / "movinet.md",
        "| | stem | layers | project | hidden | frames | stride | size | short side "
        "| dropout, base | dropout, stream |",
    )
    assert found == [
        [name, *map(str, (
            spec.stem_channels, len(list(spec.layers())), spec.project_channels,
            spec.hidden_channels, spec.num_frames, spec.stride_frames, spec.size, spec.short_side,
            spec.dropout, spec.stream_dropout))]
        for name, spec in SPECS.items()
    ]  # fmt: skip
    found = table(DOCS / "movinet.md", "| | block | channels | layers |")
    assert found == [
        ["" if block else name, str(block), str(channels), f"`{layers}`"]
        for name, spec in SPECS.items()
        for block, (channels, layers) in enumerate(spec.blocks)
    ]


def test_the_parts_of_the_architecture_may_import_what_the_page_says():
    found = {}
    head = "| part | what is in it | may import | imports Paddle |"
    for parts, _, allowed, _ in table(DOCS / "architecture.md", head):
        above = set(found)
        names = above if allowed == "all parts above" else set(re.findall(r"`(\w+)`", allowed))
        found.update(dict.fromkeys(re.findall(r"`(\w+)`", parts), names))
    assert found == {part: ALLOWED[part] for part in found}
    assert set(ALLOWED) - set(found) == {"__main__", "__init__"}
