"""One registry mechanism: a name in a YAML file becomes an object, its arguments checked.

A *node* is a mapping ``{name: Scale, short_size: 192}``. Its arguments are checked against the
annotated signature of the registered class before anything is built, so a wrong key or a value of
the wrong type is one message with the YAML path, the bad key and the nearest good one.
"""

import inspect
from abc import ABCMeta
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar, cast, get_type_hints

import pydantic

from paddlevideo.utils.errors import ArgumentError, ConfigError, nearest_hint, shown
from paddlevideo.utils.nodes import Node, ReadNode

Component = TypeVar("Component")
Registrable = TypeVar("Registrable", bound=Callable[..., object])

# A component that has this argument is given the YAML path it was built from, for its messages.
WHERE = "where"

# Where annotations cannot be resolved, a default of these types says what the argument is.
_PLAIN = (bool, float)


class Registry(Generic[Component]):
    """Names to classes (or functions) of one kind, such as ``BACKBONES`` or ``TRANSFORMS``.

    Args:
        kind: what the components are, for messages.
        interface: base class or protocol. A component is held against it when it is registered: it
            must be (or, as a function, be annotated to return) a subclass of a base class without
            abstract methods left, or have every method and property of a protocol.
    """

    def __init__(self, kind: str, interface: type | None = None) -> None:
        self.kind = kind
        self.interface = interface
        self._components: dict[str, Callable] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._components

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._components))

    def register(self, component: Registrable) -> Registrable:
        """Class decorator: register under the class's own name."""
        return self.register_as(component.__name__)(component)

    def register_as(self, *names: str) -> Callable[[Registrable], Registrable]:
        """Decorator factory: register under the given names (the first is the canonical one).

        Raises:
            TypeError: the component does not keep the interface; names the methods it lacks.
            ValueError: a name is taken.
        """

        def add(component: Registrable) -> Registrable:
            if self.interface is not None:
                _check_interface(component, self.interface, self.kind)
            for name in names:
                if self._components.get(name, component) is not component:
                    raise ValueError(f"{self.kind} {name!r} is registered twice")
                self._components[name] = component
            return component

        return add

    def get(self, name: str, where: str = "") -> Callable[..., Component]:
        """Return the component registered as ``name``; raise `ConfigError` naming ``where``."""
        if not isinstance(name, str) or name not in self._components:
            at = f"{where}: " if where else ""
            hint = nearest_hint(str(name), self._components)
            raise ConfigError(f'{at}unknown {self.kind} "{str(name)[:100]}"; {hint}')
        return self._components[name]

    def check(self, node: ReadNode, where: str, context: Collection[str] = ()) -> Node:
        """Check the node's name and arguments without building; return the converted arguments.

        Args:
            node: ``{name: ..., argument: value, ...}``.
            where: YAML path of the node, for messages.
            context: names of arguments that the program supplies and a file may not.

        Raises:
            ConfigError: no name, unknown name, unknown or missing argument, value of a wrong type.
        """
        if not isinstance(node, Mapping) or not isinstance(node.get("name"), str):
            raise ConfigError(
                f'{where}: expected a mapping with "name: <{self.kind}>", got {shown(node)}'
            )
        component = self.get(node["name"], f"{where}.name")
        arguments = {key: value for key, value in node.items() if key != "name"}
        return bind_arguments(component, arguments, where, {*context, WHERE})

    def build(self, node: ReadNode, where: str, **context: object) -> Component:
        """Build the component that ``node`` describes.

        ``context`` is what the program adds; a component gets those of them (and ``where``)
        that its signature names.
        """
        arguments = self.check(node, where, context)
        component = self.get(node["name"], where)
        accepted = inspect.signature(component).parameters
        context = {k: v for k, v in {**context, WHERE: where}.items() if k in accepted}
        try:
            return component(**arguments, **context)
        except ValueError as error:
            # Ours say by `ArgumentError` that an argument is wrong; another library has no such
            # class. Any other ValueError is a defect and keeps its traceback.
            is_ours = component.__module__.partition(".")[0] == __name__.partition(".")[0]
            if is_ours and not isinstance(error, ArgumentError):
                raise
            raise ConfigError(f"{where} ({node['name']}): {error}") from error


class ClassRegistry(Registry[Component]):
    """A registry of classes alone: `get` gives a class, which may have class methods."""

    def get(self, name: str, where: str = "") -> type[Component]:
        """As in `Registry`."""
        return cast(type[Component], super().get(name, where))


def _check_interface(component: Callable[..., object], interface: type, kind: str) -> None:
    name = component.__name__
    made = component if inspect.isclass(component) else get_type_hints(component).get("return")
    if not inspect.isclass(made):
        raise TypeError(f"{kind} {name}: its annotation must say which class it returns")
    missing = _abstract_methods(made)
    if _is_protocol(interface):
        missing &= _members(interface)
        missing |= {member for member in _members(interface) if not _has(made, member)}
    elif not issubclass(made, interface):
        raise TypeError(f"{kind} {name} is no subclass of {interface.__name__}")
    if missing:
        lacking = ", ".join(sorted(missing))
        raise TypeError(f"{kind} {name} lacks {lacking} of the interface {interface.__name__}")


def _abstract_methods(made: type) -> frozenset[str]:
    return made.__abstractmethods__ if isinstance(made, ABCMeta) else frozenset()


def _is_protocol(interface: type) -> bool:
    return Protocol in interface.__bases__


def _members(protocol: type) -> set[str]:
    """Methods and properties that a protocol and the protocols it extends ask for.

    An attribute that is only annotated may be set by ``__init__``, and is not asked for here.
    """
    protocols = (base for base in protocol.__mro__ if _is_protocol(base))
    return {
        name
        for base in protocols
        for name, value in vars(base).items()
        if (inspect.isroutine(value) or isinstance(value, property))
        and (name == "__call__" or not name.startswith("_"))
    }


def _has(made: type, name: str) -> bool:
    return any(name in vars(base) for base in made.__mro__ if base is not object)


def bind_arguments(
    component: Callable[..., object], arguments: ReadNode, where: str, context: Collection[str] = ()
) -> Node:
    """Check ``arguments`` against the signature of ``component``; return them converted.

    A string such as ``"1e-4"`` (which YAML 1.1 does not read as a number) becomes a float where
    the signature says float. Arguments without annotation are passed on as they are.

    Raises:
        ConfigError: an argument is unknown, missing, or of the wrong type.
    """
    fields, takes_any = _signature_fields(component)
    known = [name for name in fields if name not in context]
    for key in arguments:
        known_key = key in known or (takes_any and key not in context)
        if not isinstance(key, str) or not known_key:
            raise ConfigError(
                f'{where}: unknown argument "{str(key)[:100]}"; {nearest_hint(str(key), known)}'
            )
    missing = [n for n in known if fields[n][1] is inspect.Parameter.empty and n not in arguments]
    if missing:
        raise ConfigError(f"{where}: missing argument {', '.join(missing)}")
    converted = {}
    for key, value in arguments.items():
        annotation = fields[key][0] if key in fields else Any
        converted[key] = _convert(value, annotation, f"{where}.{key}")
    return converted


def _signature_fields(
    component: Callable[..., object],
) -> tuple[dict[str, tuple[Any, object]], bool]:
    """Return ``{argument: (annotation, default)}`` and whether ``**kwargs`` takes any other."""
    function = component.__init__ if inspect.isclass(component) else component
    parameters = inspect.signature(component).parameters
    try:
        hints = get_type_hints(function, include_extras=True)  # ranges too
    except (NameError, TypeError):  # a class of another library with unresolvable annotations
        hints = {n: type(p.default) for n, p in parameters.items() if type(p.default) in _PLAIN}
    fields: dict[str, tuple[Any, object]] = {}
    takes_any = False
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            takes_any = True
        elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            fields[name] = (hints.get(name, Any), parameter.default)
    return fields, takes_any


def _convert(value: object, annotation: Any, where: str) -> object:
    """Convert ``value`` to ``annotation`` with pydantic's rules; an error names ``where``."""
    if annotation is Any:
        return value
    config = pydantic.ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False)
    try:
        adapter = pydantic.TypeAdapter(annotation, config=config)
    except pydantic.errors.PydanticUserError:  # the annotation is a model or dataclass itself
        adapter = pydantic.TypeAdapter(annotation)
    try:
        return adapter.validate_python(value)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        inside = "".join(f".{part}" for part in first["loc"] if isinstance(part, int))
        raise ConfigError(f"{where}{inside}: {first['msg']}, got {shown(first['input'])}") from None
