"""Registry: a node becomes an object, or one message with path, bad key and nearest good one."""

from abc import ABC, abstractmethod
from typing import Protocol

import paddle
import pytest

from paddlevideo.utils.errors import ArgumentError, ConfigError, nearest_hint
from paddlevideo.utils.registry import Registry, bind_arguments


class Shape:
    def __init__(
        self,
        size: int,
        rate: float = 0.5,
        mean: tuple[float, ...] = (0.0,),
        label: str | None = None,
        mirrored: bool = False,
        where: str = "",
        channels: int = 3,
    ) -> None:
        if size < 1:
            raise ValueError(f"size is {size}, expected 1 or more")
        self.arguments = (size, rate, mean, label, mirrored)
        self.where, self.channels = where, channels


class Anything:
    def __init__(self, channels: int = 1, **rest) -> None:
        self.channels, self.rest = channels, rest


@pytest.fixture
def shapes() -> Registry:
    registry: Registry = Registry("shape")
    registry.register(Shape)
    registry.register_as("Anything", "Whatever")(Anything)
    return registry


def build(registry, context=None, **node):
    return registry.build(node, "MODEL.shape", **(context or {}))


def test_builds_with_defaults_and_context(shapes):
    shape = build(shapes, {"channels": 7, "unused": 1}, name="Shape", size=3)
    assert shape.arguments == (3, 0.5, (0.0,), None, False)
    assert (shape.channels, shape.where) == (7, "MODEL.shape")


def test_values_are_converted_to_the_annotation(shapes):
    shape = build(shapes, name="Shape", size="4", rate="1e-4", mean=[1, "2.5"], label="a")
    assert shape.arguments == (4, 1e-4, (1.0, 2.5), "a", False)
    assert [type(value) for value in (shape.arguments[1], *shape.arguments[2])] == [float] * 3


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"name": "Shap", "size": 1}, r'MODEL.shape.name: unknown shape "Shap"; did you mean "Sha'),
        ({"name": "zzz"}, r'unknown shape "zzz"; known: Anything, Shape, Whatever$'),
        ({"name": "Shape", "size": 1, "rat": 2}, r'MODEL.shape: unknown argument "rat"; did you '),
        ({"name": "Shape", "size": 1, 3: 2}, r'MODEL.shape: unknown argument "3"; known: '),
        ({"name": "Shape", "rate": 1}, r"MODEL.shape: missing argument size$"),
        ({"name": "Shape", "size": "big"}, r"MODEL.shape.size: .*integer.*, got 'big'"),
        ({"name": "Shape", "size": 1.5}, r"MODEL.shape.size: .*, got 1.5"),
        ({"name": "Shape", "size": None}, r"MODEL.shape.size: .*, got None"),
        ({"name": "Shape", "size": 1, "mean": [1, 2, "x"]}, r"MODEL.shape.mean.2: .*, got 'x'"),
        ({"name": "Shape", "size": 1, "mean": 1}, r"MODEL.shape.mean: .*, got 1"),
        ({"name": "Shape", "size": 1, "label": 3}, r"MODEL.shape.label: .*, got 3"),
        ({"name": "Shape", "size": 1, "mirrored": "maybe"}, r"MODEL.shape.mirrored: .*'maybe'"),
        ({"name": "Shape", "size": 0}, r"MODEL.shape \(Shape\): size is 0, expected 1 or more"),
        ({"size": 1}, r'MODEL.shape: expected a mapping with "name: <shape>"'),
        ({"name": ["Shape"]}, r'MODEL.shape: expected a mapping with "name: <shape>"'),
    ],
)
def test_wrong_nodes(shapes, node, message):
    with pytest.raises(ConfigError, match=message):
        shapes.build(node, "MODEL.shape")


@pytest.mark.parametrize("node", [None, 3, "Shape", ["name"]])
def test_what_is_no_node(shapes, node):
    with pytest.raises(ConfigError, match=r"MODEL.shape: expected a mapping"):
        shapes.check(node, "MODEL.shape")


@pytest.mark.parametrize("name", ["Shape", "Anything"])
@pytest.mark.parametrize("key", ["channels", "where"])
def test_a_file_cannot_give_what_the_program_gives(shapes, name, key):
    node = {"name": name, **({"size": 1} if name == "Shape" else {}), key: 9}
    with pytest.raises(ConfigError, match=f'MODEL.shape: unknown argument "{key}"') as caught:
        shapes.build(node, "MODEL.shape", channels=7)
    assert "channels" not in str(caught.value).split("known:")[1]


def test_any_argument_where_the_component_takes_any(shapes):
    built = build(shapes, name="Whatever", colour="red", channels=4)
    assert (built.channels, built.rest) == (4, {"colour": "red"})


class Defective:
    def __init__(self) -> None:
        raise ValueError("a defect")


def test_a_defect_of_ours_is_no_error_of_the_user(monkeypatch):
    registry: Registry = Registry("shape")
    registry.register(Defective)
    with pytest.raises(ConfigError, match="a defect"):  # of another library: its way to say so
        registry.build({"name": "Defective"}, "MODEL")
    monkeypatch.setattr(Defective, "__module__", "paddlevideo.shapes")
    with pytest.raises(ValueError, match="a defect"):
        registry.build({"name": "Defective"}, "MODEL")
    error = ArgumentError("the size is wrong")
    monkeypatch.setattr(Defective, "__init__", lambda self: (_ for _ in ()).throw(error))
    with pytest.raises(ConfigError, match=r"MODEL \(Defective\): the size is wrong"):
        registry.build({"name": "Defective"}, "MODEL")


def test_registering(shapes):
    assert shapes.register(Shape) is Shape  # the same class again is no harm
    with pytest.raises(ValueError, match="shape 'Shape' is registered twice"):
        shapes.register_as("Shape")(Anything)
    assert shapes.get("Shape") is Shape
    assert list(shapes) == ["Anything", "Shape", "Whatever"] and "Shape" in shapes
    assert "Shap" not in shapes


@pytest.mark.parametrize("name", [["a"], None, 3, {}])
def test_a_name_that_is_none(shapes, name):
    with pytest.raises(ConfigError, match=r"here: unknown shape"):
        shapes.get(name, "here")


def test_a_class_of_another_library():
    arguments = {"rho": "0.8", "momentum": 1}
    bound = bind_arguments(paddle.optimizer.RMSProp, arguments, "O", ["learning_rate"])
    assert bound == {"rho": 0.8, "momentum": 1.0}
    missing = r"O: missing argument learning_rate"
    with pytest.raises(ConfigError, match=missing):
        bind_arguments(paddle.optimizer.RMSProp, {}, "O")
    with pytest.raises(ConfigError, match=r'O: unknown argument "rhoo"; did you mean "rho"'):
        bind_arguments(paddle.optimizer.RMSProp, {"rhoo": 1}, "O", ["learning_rate"])
    with pytest.raises(ConfigError, match=r"O.rho: .*number.*'x'"):
        bind_arguments(paddle.optimizer.RMSProp, {"rho": "x"}, "O", ["learning_rate"])


def test_nearest_hint():
    assert nearest_hint("SCALE", ["Scale", "Crop"]) == 'did you mean "Scale"? known: Crop, Scale'
    assert nearest_hint("zzz", ["b", "a"]) == "known: a, b"
    assert nearest_hint("zzz", []) == "known: (none)"


class Area(ABC):
    @property
    @abstractmethod
    def unit(self) -> str: ...

    @abstractmethod
    def area(self) -> float: ...

    def doubled(self) -> float:
        return 2 * self.area()


class Named(Protocol):
    title: str

    def name(self) -> str: ...


class Drawn(Named, Protocol):
    def __call__(self, size: int) -> str: ...


class Square(Area):
    unit = "m2"

    def area(self) -> float:
        return 1.0


class Circle:
    def name(self) -> str:
        return "circle"

    def __call__(self, size: int) -> str:
        return "o" * size


def square() -> Square:
    return Square()


def test_components_that_keep_the_interface_are_registered():
    areas: Registry[Area] = Registry("area", Area)
    areas.register(Square)
    areas.register(square)
    assert areas.build({"name": "square"}, "here").doubled() == 2.0
    drawn: Registry[Drawn] = Registry("drawing", Drawn)
    assert drawn.register(Circle) is Circle


class HalfSquare(Area):
    def doubled(self) -> float:
        return 0.0


class HalfCircle:
    def __call__(self, size: int) -> str:
        return ""


class InheritsAbstract(Drawn, Protocol):
    @abstractmethod
    def name(self) -> str: ...


class StillAbstract(InheritsAbstract):
    def __call__(self, size: int) -> str:
        return ""


@pytest.mark.parametrize(
    ("interface", "component", "message"),
    [
        (Area, HalfSquare, "^shape HalfSquare lacks area, unit of the interface Area$"),
        (Area, Circle, "^shape Circle is no subclass of Area$"),
        (Area, lambda: Square(), "^shape <lambda>: its annotation must say which class it returns"),
        (Drawn, HalfCircle, "^shape HalfCircle lacks name of the interface Drawn$"),
        (Drawn, Square, "^shape Square lacks __call__, name of the interface Drawn$"),
        (InheritsAbstract, StillAbstract, "lacks name of the interface InheritsAbstract$"),
    ],
)
def test_what_lacks_a_method_is_refused_when_it_is_registered(interface, component, message):
    registry: Registry = Registry("shape", interface)
    with pytest.raises(TypeError, match=message):
        registry.register(component)
    assert not list(registry)
