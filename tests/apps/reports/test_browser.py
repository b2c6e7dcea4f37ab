"""The pages in headless Chromium: no request leaves them, nothing goes wrong, they can be seen."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from apps.reports.conftest import metrics_lines, write_metrics
from apps.reports.pages import Page
from paddlevideo.apps.reports import write_comparison, write_report

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)"
)
WIDTHS = {"phone": (390, 844), "desk": (1280, 900)}
# Chromium's own services may log; what concerns the page comes from its console or its network.
COMPLAINT = re.compile(r"CONSOLE|net_error|ERR_|Refused|blocked", re.I)


# What Chromium asks for of its own, whatever page is open.
OWN_HOSTS = re.compile(r"(.*\.)?(google\.com|googleapis\.com|gvt1\.com|gstatic\.com)")


def hosts_asked(log) -> set[str]:
    """The hosts that pages asked for something, from the browser's network log."""
    hosts = re.findall(r'"url":"(?:https?|wss?|ftp)://([^/":]+)', log.read_text())
    return {host for host in hosts if not OWN_HOSTS.fullmatch(host)}


def browse(page, tmp_path, size, *options) -> str:
    """Open the page, take a picture of it; return what the browser logged about it."""
    width, height = size
    command = [
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        f"--user-data-dir={tmp_path / 'profile'}",
        *("--host-resolver-rules=MAP * 0.0.0.0", "--enable-logging=stderr", "--v=0"),
        *(f"--window-size={width},{height}", *options, page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return "\n".join(line for line in done.stderr.splitlines() if COMPLAINT.search(line))


@pytest.fixture
def pages(run_folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_metrics(other, metrics_lines(5, tested=False))
    return [
        write_report(run_folder),
        write_comparison([run_folder, other], tmp_path / "comparison.html"),
    ]


@pytest.mark.parametrize("place", WIDTHS)
def test_pages_can_be_seen_and_ask_for_nothing(pages, tmp_path, place):
    for page in pages:
        Page(page).check_stays_inside()
        picture = tmp_path / f"{place}.png"
        log = tmp_path / "net.json"
        said = browse(
            page, tmp_path, WIDTHS[place], f"--screenshot={picture}", f"--log-net-log={log}"
        )
        assert said == ""
        with Image.open(picture) as image:
            assert image.size == WIDTHS[place]
            pixels = np.asarray(image.convert("L"))
        ink = (pixels < 128).mean()
        assert 0.005 < ink < 0.5, "blank, or black"
        assert hosts_asked(log) == set()


def test_nothing_is_wider_than_a_phone(pages, tmp_path):
    """Tables scroll in their own box; the page itself does not move sideways."""
    for page in pages:
        # The page forbids scripts, so it is not asked for its width: in a frame of a phone's width
        # its margin must be empty from top to bottom.
        framed = tmp_path / "framed.html"
        framed.write_text(
            f'<body style="margin:0;background:#0f0"><iframe src="{page.as_uri()}" '
            'style="width:390px;height:6000px;border:0"></iframe>'
        )
        picture = tmp_path / "framed.png"
        browse(framed, tmp_path, (500, 6000), f"--screenshot={picture}")
        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert (pixels[:, 395:] == (0, 255, 0)).all()
        assert (pixels[:, :380].max(axis=2) < 128).mean() > 0.005, "the page is not in the frame"
        right_edge = pixels[:, 380:390].reshape(-1, 3)
        assert (right_edge.min(axis=1) > 200).mean() > 0.9, "something is cut off at the edge"


def test_a_page_that_does_would_be_seen(tmp_path):
    page, log = tmp_path / "bad.html", tmp_path / "net.json"
    page.write_text("<script>console.error('wrong')</script><img src='http://example.com/x.png'>")
    said = browse(
        page, tmp_path, (390, 844), f"--screenshot={tmp_path / 'x.png'}", f"--log-net-log={log}"
    )
    assert "wrong" in said and hosts_asked(log) == {"example.com"}
