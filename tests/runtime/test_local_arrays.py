"""Compiled code holds the arrays whose addresses it uses."""

import ast
from pathlib import Path

import pytest

import paddlevideo.runtime.engines.compiled as compiled

SOURCES = sorted(Path(compiled.__file__).parent.glob("*.py"))
_MAKERS = ("np.empty", "np.zeros")


def early_addresses(source):
    """Lines where a function keeps the address of an array of its own beyond the array's last use.

    Numba gives an array's memory back behind the last line that names it; in a loop, behind the
    loop. An address that is taken before a loop and used in it is one of memory that is free.
    """
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        arrays = {
            ast.unparse(node.target)
            for node in ast.walk(function)
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) in _MAKERS
        }
        last = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                last[node.id] = max(last.get(node.id, 0), node.lineno)
        for node in ast.walk(function):
            if not isinstance(node, ast.Assign):
                continue
            pairs = [(node.targets[0], node.value)]
            if isinstance(node.value, ast.Tuple) and isinstance(node.targets[0], ast.Tuple):
                pairs = list(zip(node.targets[0].elts, node.value.elts, strict=False))
            for target, value in pairs:
                name = ast.unparse(value).removesuffix(".ctypes.data")
                taken = ast.unparse(value).endswith(".ctypes.data") and name in arrays
                outlives = last.get(ast.unparse(target), 0) > last.get(name, 0)
                if taken and outlives and not _in_loop(function, node):
                    found.append(node.lineno)
    return found


def _in_loop(function, node):
    loops = [each for each in ast.walk(function) if isinstance(each, ast.For | ast.While)]
    return any(node in ast.walk(loop) for loop in loops)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_address_outlives_its_array(path):
    assert not early_addresses(path.read_text())


def test_it_is_found():
    lines = "def f(n):\n    a: Array = np.empty(4)\n    p = a.ctypes.data\n    for i in range(n):\n"
    assert early_addresses(lines + "        use(p)\n") == [3]
    assert early_addresses(lines + "        use(p, a[0])\n") == []
