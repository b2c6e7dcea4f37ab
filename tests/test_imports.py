"""The house: who may import whom, what library code never does, and that importing does nothing."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "paddlevideo"

# Part -> the parts it may import. Parts of one layer do not know each other.
_VIDEO = {"utils", "video"}
_MODEL = {"utils", "weights", "modeling"}
_TRAIN = {"utils", "video", "loader", "modeling", "weights", "solver", "metrics"}
_BELOW_APPS = _TRAIN | {"runtime", "tasks", "export", "convert"}
ALLOWED = {
    "utils": set(),
    "video": {"utils"},
    "runtime": _VIDEO,
    "loader": _VIDEO,
    "weights": {"utils"},
    "modeling": {"utils", "weights"},
    "solver": _MODEL,
    "metrics": _MODEL,
    "convert": _MODEL | {"runtime"},
    "tasks": _TRAIN | {"runtime"},
    "export": _TRAIN | {"runtime", "tasks"},
    "apps": _BELOW_APPS,
    "api": _BELOW_APPS | {"apps"},
    "cli": _BELOW_APPS | {"apps", "api"},
    "__main__": {"cli"},
    "__init__": {"api"},
}


def python_files(*folders: str) -> list[Path]:
    files = [
        file
        for folder in folders
        for file in ([ROOT / folder] if folder.endswith(".py") else (ROOT / folder).rglob("*.py"))
    ]
    assert len(files) >= len(folders)
    return sorted(files)


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def short(file: Path) -> str:
    return str(file.relative_to(ROOT))


LIBRARY = pytest.mark.parametrize("file", python_files("paddlevideo"), ids=short)


def imported_modules(tree: ast.Module, file: Path) -> Iterator[str]:
    """Every module that a file imports anywhere in it, under its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = file.relative_to(ROOT).parts[: -node.level] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def parts_imported(file: Path) -> set[str]:
    names = [name.split(".") for name in imported_modules(tree_of(file), file)]
    exist = {path.stem for path in PACKAGE.iterdir()}
    return {name[1] for name in names if name[0] == "paddlevideo" and name[1:] and name[1] in exist}


@LIBRARY
def test_imports_point_one_way(file):
    part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert part in ALLOWED, f"{part} is new: say in ALLOWED what it may import"
    assert parts_imported(file) <= ALLOWED[part] | {part}


def test_the_reading_of_imports_itself(tmp_path):
    text = (
        "import paddlevideo.tasks.train as x\n"
        "def f():\n    from paddlevideo import export\n    from ..video import sample\n"
        "    from . import errors\n    importlib.import_module('paddlevideo.api')\n"
    )
    names = set(imported_modules(ast.parse(text), PACKAGE / "utils" / "x.py"))
    assert {
        "paddlevideo.tasks.train",
        "paddlevideo.export",
        "paddlevideo.video.sample",
        "paddlevideo.utils.errors",
        "paddlevideo.api",
    } <= names
    assert parts_imported(PACKAGE / "tasks" / "train_setup.py") >= {"utils", "solver", "metrics"}
    assert parts_imported(PACKAGE / "__init__.py") == {"api"}


@pytest.mark.parametrize("file", python_files("tools", "main.py"), ids=short)
def test_commands_are_not_imported_by_the_package(file):
    name = file.stem
    for other in python_files("paddlevideo"):
        modules = set(imported_modules(tree_of(other), other))
        assert name not in modules and f"tools.{name}" not in modules


# A model is named in its own files and in configs. Elsewhere only as an example of a path, in a
# docstring or in a help text (which, unlike a name or path that is used, has blanks in it).

EXAMPLE = re.compile(r"[\w.-]+/\S*movinet\S*|\bmovinet\w*\.(yaml|pdparams)", re.I)


def names_and_texts(tree: ast.Module) -> Iterator[str]:
    """Everything in the code that may hold a name; examples of paths in sentences are left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield EXAMPLE.sub("", node.value) if " " in node.value else node.value
        else:
            for field in ("id", "attr", "name", "arg", "module", "asname"):
                yield str(getattr(node, field, ""))


def models_named(tree: ast.Module) -> list[str]:
    return [text for text in names_and_texts(tree) if "movinet" in text.lower()]


@pytest.mark.parametrize(
    "file",
    python_files(
        "paddlevideo/tasks",
        "paddlevideo/runtime",
        "paddlevideo/export",
        "paddlevideo/apps/bulk",
        "paddlevideo/apps/reports",
        "paddlevideo/apps/sources",
        "paddlevideo/apps/visualization",
        "paddlevideo/apps/comparison.py",
        "tools",
        "main.py",
    ),
    ids=short,
)
def test_the_loop_names_no_model(file):
    assert models_named(tree_of(file)) == []
    assert not re.search(r"#.*movinet", file.read_text(encoding="utf-8"), re.I)


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ('x = "MoViNet"', True),
        ('x = "inference/MoViNetA0"', True),
        ("def f(): return g.movinet_a0", True),
        ("import paddlevideo.modeling.backbones.movinet", True),
        ("from movinet import x", True),
        ("f(movinet=1)", True),
        ('x = f"{a}.movinet"', True),
        ('"""Train a MoViNet."""', True),
        ('"""Run main.py -c configs/recognition/movinet/a.yaml -o inference/MoViNetA0"""', False),
        ('f(help="a folder, such as output/MoViNet")', False),
    ],
)
def test_the_reading_of_names_itself(text, is_named):
    assert bool(models_named(ast.parse(text))) == is_named


# The runtime without Paddle. Imports inside of functions are lazy, and followed by nobody here.

NO_PADDLE = ("video", "utils", "runtime", "apps/bulk", "apps/sources", "api.py")
NO_PADDLE_COMMANDS = ("main", "predict", "stream", "prediction", "predict_files", "predict_tool",
                      "follow_stream", "download")  # fmt: skip
PADDLE_ENGINE = {"paddlevideo.runtime.engines.paddle_inference",
                 "paddlevideo.runtime.engines.tensorrt"}  # fmt: skip


def imported_at_once(file: Path) -> set[str]:
    """The modules that importing a file imports, its own packages among them."""
    tree = tree_of(file)
    inner = {
        node
        for block in ast.walk(tree)
        if isinstance(block, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        or (isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test))
        for node in ast.walk(block)
        if node is not block
    }
    imports = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and node not in inner
    ]
    names = imported_modules(ast.Module(imports, []), file)
    return {
        ".".join(parts[:length])
        for parts in (name.split(".") for name in names)
        for length in range(1, len(parts) + 1)
    }


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_the_runtime_never_imports_paddle():
    files = {module_name(file): file for file in python_files("paddlevideo")}
    begin = [module_name(f) for f in python_files(*(f"paddlevideo/{part}" for part in NO_PADDLE))]
    begin += [f"paddlevideo.cli.{name}" for name in NO_PADDLE_COMMANDS]
    seen, waiting = set(), {name: name for name in begin if name not in PADDLE_ENGINE}
    while waiting:
        name, way = waiting.popitem()
        seen.add(name)
        for imported in imported_at_once(files[name]):
            assert imported != "paddle" and imported not in PADDLE_ENGINE, f"{way} -> {imported}"
            if imported in files and imported not in seen:
                waiting[imported] = f"{way} -> {imported}"
    assert len(seen) > 80


def test_paddle_is_imported_in_one_place_of_the_runtime():
    runtime = python_files(*(f"paddlevideo/{part}" for part in NO_PADDLE))
    importing = {
        module_name(file)
        for file in runtime
        if {name.split(".")[0] for name in imported_modules(tree_of(file), file)} & {"paddle"}
    }
    allowed = {*PADDLE_ENGINE, "paddlevideo.runtime.engines.open_engine", "paddlevideo.api"}
    assert importing == allowed  # of the api: for a type


# What library code never does.


def calls(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


FORBIDDEN = re.compile(
    r"(print|eval|exec|compile|input|breakpoint|(c?[pP]ickle|dill|joblib|marshal|shelve)\.(load|loads|open)"
    r"|(pickle\.)?Unpickler|paddle\.load|torch\.load|yaml\.(load|unsafe_load|full_load)"
    r"|os\.(system|popen)|signal\.signal|sys\.exit|logging\.basicConfig"
    r"|(np|numpy)\.random\.(seed|rand\w*|choice|shuffle|permutation|uniform|normal)"
    r"|random\.(seed|random|randint|choice|shuffle|uniform))"
)  # fmt: skip


# A worker process is a process of its own, and its signals are its own; a training step puts off
# Ctrl-C while it runs; a training that a command runs handles those that end it.
EXCEPTIONS = {
    "paddlevideo/loader/workers.py": {"signal.signal"},
    "paddlevideo/tasks/signals.py": {"signal.signal"},
    "paddlevideo/utils/crew.py": {"signal.signal"},
    "paddlevideo/utils/interrupts.py": {"signal.signal"},
}


@LIBRARY
def test_what_library_code_never_calls(file):
    called = {name for name in calls(tree_of(file)) if FORBIDDEN.fullmatch(name)}
    assert called == EXCEPTIONS.get(short(file), set())
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            assert "allow_pickle=True" not in ast.unparse(node)


@LIBRARY
def test_no_bare_except_and_no_error_swallowed(file):
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ExceptHandler):
            where = f"{short(file)}:{node.lineno}"
            assert node.type is not None, where
            is_broad = ast.unparse(node.type) in ("Exception", "BaseException")
            passed_on = any(isinstance(inner, (ast.Raise, ast.Return)) for inner in ast.walk(node))
            assert not is_broad or passed_on or "format_exc()" in ast.unparse(node), where


@pytest.mark.parametrize("text", ["print(1)", "pickle.loads(b)", "paddle.load(p)", "eval(x)"])
def test_the_reading_of_calls_itself(text):
    assert [name for name in calls(ast.parse(text)) if FORBIDDEN.fullmatch(name)]


OPTIONAL = ("decord", "onnx", "onnxruntime", "paddle2onnx", "visualdl", "tensorboardX", "torch",
            "tensorflow", "pytest", "hypothesis")  # fmt: skip

IMPORT_ALL = f"""
import importlib, logging, pkgutil, signal, sys, threading, random
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
signals = {{number: signal.getsignal(number) for number in signal.valid_signals()}}
import paddle
handlers, threads = list(logging.getLogger().handlers), threading.active_count()
hook, state = sys.excepthook, random.getstate()
import paddlevideo
modules = [module.name for module in pkgutil.walk_packages(paddlevideo.__path__, "paddlevideo.")]
assert len(modules) > 80, modules
for name in modules:
    importlib.import_module(name)
assert signals == {{number: signal.getsignal(number) for number in signals}}
assert logging.getLogger().handlers == handlers and not logging.getLogger("paddlevideo").handlers
assert threading.active_count() == threads and sys.excepthook is hook
assert random.getstate() == state
assert not {{name.split(".")[0] for name in sys.modules}} & {set(OPTIONAL)!r}
"""


def test_importing_everything_does_nothing(tmp_path):
    """A fresh interpreter, without optional packages, in an empty folder with an empty home."""
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", IMPORT_ALL],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if ".cache" not in path.parts], files  # Paddle's own


WITHOUT_PADDLE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "paddle":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
"""
RESULTS = """
import json
import numpy as np
import paddlevideo
bundle, video = sys.argv[1:]
predictor = paddlevideo.load_predictor(bundle, device="cpu", cpu_threads=1, engine="onnxruntime")
answers = [predictor(video, top_k=3).as_dict()["predictions"]]
frames = np.random.default_rng(0).integers(0, 256, (4, 40, 48, 3), np.uint8)
session = predictor.open_stream(top_k=3)
pool = predictor.open_pool(2, 1, top_k=3)
streams = [pool.open(), pool.open()]
for frame in frames:
    pushed = session.push(frame)
    for stream in streams:
        stream.push(frame)
    stepped = pool.step()
for result in (pushed, *(result for _, result in stepped)):
    answers.append([vars(item) for item in result.top])
pool.close()
sys.stdout.write(json.dumps(answers))
"""
COMMAND = "from paddlevideo.cli.main import main\nmain()\n"


@pytest.fixture(scope="module")
def stream_bundle(tmp_path_factory):
    """A small causal model with its ONNX files, and a video."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("paddle2onnx")
    from runtime.conftest import LABELS, PIPELINE
    from video.conftest import write_video

    import paddlevideo
    from paddlevideo.export import ExportOptions, export_model

    folder = tmp_path_factory.mktemp("without_paddle")
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=len(LABELS)).eval()
    export_model(
        model, PIPELINE, folder / "bundle", "small", LABELS, ExportOptions(formats=("onnx",))
    )
    return folder / "bundle", write_video(folder / "video.mp4", 12)


def python(code: str, *arguments: object, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_predict_stream_and_pool_without_paddle(stream_bundle, tmp_path):
    """Equal answers with Paddle present and absent, to the last bit."""
    with_paddle = python(f"import sys, paddle\n{RESULTS}", *stream_bundle, cwd=tmp_path)
    without = python(WITHOUT_PADDLE + RESULTS, *stream_bundle, cwd=tmp_path)
    assert without == with_paddle and without.count("label") == 4 * 3


def test_commands_without_paddle(stream_bundle, tmp_path):
    bundle, video = stream_bundle
    said = python(WITHOUT_PADDLE + COMMAND, "predict", video, "--bundle", bundle, cwd=tmp_path)
    assert "top-1 label: " in said
    said = python(WITHOUT_PADDLE + COMMAND, "stream", video, "--bundle", bundle, cwd=tmp_path)
    assert all("latency_ms" in line for line in said.splitlines()) and said
    program = f"{WITHOUT_PADDLE}sys.modules['numba'] = None\n{COMMAND}"  # nor the compiled engine
    assert "top-1" in python(program, "predict", video, "--bundle", bundle, cwd=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["train", "-c", "x"], "train"),
        (["fit", "x"], "train"),
        (["model-info"], "train"),
        (["download", "paddlevideo_a0_k400"], "train"),
        (["predict", "x", "--model", "movinet_a0_stream_k600"], "train"),
    ],
)
def test_what_needs_paddle_says_so(arguments, needed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PADDLE + COMMAND, *arguments],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("error: "), done.stderr
    assert f'needs paddle: pip install "paddlevideo-movinet[{needed}]"' in done.stderr
