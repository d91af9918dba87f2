"""Things that go by names: losses, initializers, layers and the like, one `Registry` a kind; and a user's own.

A name gives a class or a function, a configuration `{"class_name": …, "config": {…}}` an object. Nothing is ever
imported or run because a configuration names it: what is not in a registry is an error.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, TypeVar

from symgraph.core.errors import FormatError, SymgraphError, nearest

__all__ = [
    "CustomObjectScope", "Registry", "custom_object_scope", "get_custom_objects", "get_registered_name",
    "get_registered_object", "register_keras_serializable", "register_serializable", "registries",
]

Objects = Mapping[str, Any]
"""Classes and functions by name."""

T = TypeVar("T")

_REGISTRIES: list[Registry] = []
_CUSTOM: dict[str, Any] = {}
_REGISTERED_NAMES: dict[Any, str] = {}
_SCOPES: ContextVar[tuple[Objects, ...]] = ContextVar("custom objects", default=())


class Registry:
    """The classes and functions of one kind, by name: what the `get`, `serialize` and `deserialize` of a module do.

    `known` are the names that errors list, `others` further spellings; either may be a function that gives them, where
    they are not all there yet. `functions` are found for an argument `fn`. `base` is the class of the objects;
    with `only_objects`, functions are not taken for one. `modules` are those that Keras has them in, `default` what
    None stands for.
    """

    def __init__(self, kind: str, error: type[SymgraphError], modules: tuple[str, ...],
                 known: Objects | Callable[[], Objects], others: Objects | Callable[[], Objects] | None = None, *,
                 base: type | None = None, functions: Objects | None = None, default: Any = None,
                 expected: str = "a name, a configuration or a function", only_objects: bool = False,
                 listed: int = 20) -> None:
        self.kind, self.error, self.modules, self.base = kind, error, modules, base
        self._known, self._others, self._functions = known, others or {}, functions or {}
        self._default, self._expected, self._only_objects, self._listed = default, expected, only_objects, listed
        _REGISTRIES.append(self)

    def names(self) -> dict[str, Any]:
        """All names there are, with what they stand for."""
        return {**_mapping(self._others), **_mapping(self._known)}

    def functions(self) -> dict[str, Any]:
        """The functions among them."""
        return {**{k: v for k, v in self.names().items() if not inspect.isclass(v)}, **self._functions}

    def holds(self, value: Any) -> bool:
        """Whether the class of `value` is here, under its own name."""
        return self.base is not None and isinstance(value, self.base) and (
            self.names().get(type(value).__name__) is type(value))

    def get(self, identifier: Any) -> Any:
        """What `identifier` means: a name, a configuration, a class, an object or a function; None is the default.

        Errors: the registry's, listing the nearest names.
        """
        if identifier is None:
            return self._default
        if isinstance(identifier, str | Mapping):
            return self.deserialize(identifier)
        if inspect.isclass(identifier) and self.base is not None and issubclass(identifier, self.base):
            return identifier()
        if (self.base is not None and isinstance(identifier, self.base)) or (
                callable(identifier) and not self._only_objects):
            return identifier
        raise self.error(f"{identifier!r} is no {self.kind}; give {self._expected}")

    def serialize(self, value: Any) -> Any:
        """A function's name, or an object's class and arguments, as plain data.

        Errors: the registry's, for what has neither.
        """
        if hasattr(value, "get_config") and not inspect.isclass(value):
            return {"class_name": get_registered_name(type(value)), "config": self._plain(value.get_config())}
        name = getattr(value, "__name__", None)
        if not callable(value) or name is None or self._only_objects:
            raise self.error(f"{value!r} is no {self.kind}")
        if name == "<lambda>":
            raise self.error(f"{value!r} is not one of sg.{self.modules[0]}, so it has no name to be found by")
        return get_registered_name(value)

    def _plain(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {k: self.serialize(v) if callable(v) else v for k, v in config.items()}

    def deserialize(self, config: Any, custom_objects: Objects | None = None) -> Any:
        """What `serialize`, or Keras, wrote down; entries besides names and arguments are not looked at.

        `custom_objects` are classes and functions of the user's, by name.

        Errors: the registry's, for an unknown name, and for arguments that the class does not take.
        """
        article = "an" if self.kind[0] in "aeiou" else "a"
        given: Any = {"class_name": config} if isinstance(config, str) else config
        name = given.get("class_name") if isinstance(given, Mapping) else None
        if not isinstance(name, str):
            raise self.error(f"the configuration of {article} {self.kind} has no class_name: {config!r}")
        if name == "function":
            return self.find(str(given.get("config")), custom_objects)
        found = find_custom(given.get("registered_name"), custom_objects) or self.find(name, custom_objects)
        arguments = given.get("config") or {}
        if not isinstance(arguments, Mapping):
            raise self.error(f"the config of {self.kind} {name!r} must be a dict, got {arguments!r}")
        return self.make(found, arguments, custom_objects) if inspect.isclass(found) else found

    def find(self, name: str, custom_objects: Objects | None = None) -> Any:
        """The class or function of a name, a user's own first; TensorFlow.js's spelling and capitals do as well.

        Errors: the registry's, listing the nearest names.
        """
        names = self.names()
        spellings = tuple(dict.fromkeys((name, _snake_case(name), name.lower())))
        for spelling in spellings:
            found = find_custom(spelling, custom_objects) or names.get(spelling)
            if found is not None:
                return found
        known = [*(custom_objects or {}), *_mapping(self._known)]
        meant = next((word for word in spellings if difflib.get_close_matches(word, known)), name)
        raise self.error(f"no {self.kind} {name!r}; {nearest(meant, known, limit=self._listed)}")

    def find_function(self, name: str, custom_objects: Objects | None = None) -> Any:
        """The function of a name, where the same word names a class as well."""
        found = find_custom(name, custom_objects) or self._functions.get(name)
        if found is None:
            raise self.error(f"no function {name!r} for a {self.kind}; give it in custom_objects, or register it; "
                             f"{nearest(name, self._functions)}")
        return found

    def make(self, cls: type, config: Mapping[str, Any], custom_objects: Objects | None = None) -> Any:
        """An object of a class, of the arguments that were written down."""
        arguments = dict(config)
        if isinstance(arguments.get("fn"), str):
            arguments["fn"] = self.find_function(arguments["fn"], custom_objects)
        make = getattr(cls, "from_config", None)
        takes_objects = make is not None and "custom_objects" in inspect.signature(make).parameters
        try:
            if make is None:
                return cls(**arguments)
            return make(arguments, custom_objects) if takes_objects else make(arguments)
        except TypeError:
            if _takes(cls, arguments):
                raise
            raise self.error(f"{self.kind} {cls.__name__} takes {_signature(cls)}, got {arguments}") from None


def registries() -> tuple[Registry, ...]:
    """All registries there are."""
    return tuple(_REGISTRIES)


class CustomObjectScope:
    """Names of a user's own that hold inside a `with`.

    Errors: `FormatError` for what is no mapping of names to classes and functions.

    >>> class Twice:
    ...     def __call__(self, x):
    ...         return 2 * x
    >>> import symgraph as sg
    >>> with custom_object_scope({"Twice": Twice}):
    ...     sg.activations.get("Twice")(4)
    8
    """

    def __init__(self, custom_objects: Objects) -> None:
        _check_objects(custom_objects)
        self.custom_objects = custom_objects
        self._tokens: list[Token[tuple[Objects, ...]]] = []

    def __enter__(self) -> CustomObjectScope:
        self._tokens.append(_SCOPES.set((self.custom_objects, *_SCOPES.get())))
        return self

    def __exit__(self, *error: object) -> None:
        _SCOPES.reset(self._tokens.pop())


custom_object_scope = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """The classes and functions registered so far, by their full names; what is put in is found, too."""
    return _CUSTOM


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """A decorator that registers a class or a function of one's own under the name `package>name`.

    It is written down under that name, and found by it when it is read again. `name` is that of the class unless given.

    Errors: `FormatError` for a class without `get_config`, and for what is neither class nor function.

    >>> import symgraph as sg
    >>> @register_keras_serializable("mine")
    ... def triple(x):
    ...     return 3 * x
    >>> sg.activations.serialize(triple), sg.activations.get("mine>triple")(2)
    ('mine>triple', 6)
    """

    def register(value: T) -> T:
        if not callable(value) or not hasattr(value, "__name__"):
            raise FormatError(f"register_keras_serializable: registers classes and functions, got {value!r}")
        if inspect.isclass(value) and not hasattr(value, "get_config"):
            raise FormatError(f"register_keras_serializable: class {value.__name__} has no get_config(), which says "
                              "how it is made again; define it")
        full = f"{package}>{name or value.__name__}"
        _CUSTOM[full] = value
        _REGISTERED_NAMES[value] = full
        return value

    return register


register_serializable = register_keras_serializable


def get_registered_name(obj: Any) -> str:
    """The name a class or a function is registered under, else its own."""
    try:
        own: str = obj.__name__
        return _REGISTERED_NAMES.get(obj, own)
    except AttributeError:
        raise FormatError(f"only classes and functions have names to be registered under, got {obj!r}") from None


def get_registered_object(name: str, custom_objects: Objects | None = None,
                          module_objects: Objects | None = None) -> Any:
    """The class or function of this name: in scope, registered, or in one of the mappings; None where there is none."""
    return find_custom(name, custom_objects) or (module_objects or {}).get(name)


def find_custom(name: object, custom_objects: Objects | None = None) -> Any:
    """The user's own class or function of this name: given, in scope, or registered; None where there is none."""
    for objects in (custom_objects or {}, *_SCOPES.get(), _CUSTOM):
        if name in objects:
            return objects[str(name)]
    return None


def _check_objects(objects: object) -> None:
    if not isinstance(objects, Mapping) or not all(isinstance(k, str) and callable(v) for k, v in objects.items()):
        raise FormatError(f"custom objects are classes and functions by name, got {objects!r}")


def _mapping(objects: Objects | Callable[[], Objects]) -> Objects:
    return objects if isinstance(objects, Mapping) else objects()


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _signature(cls: type) -> str:
    """The arguments with their defaults, without types."""
    signature = inspect.signature(cls)
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def _takes(cls: type, arguments: Mapping[str, Any]) -> bool:
    """Whether the constructor takes these arguments, so that what went wrong lies deeper."""
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError:
        return False
    return True
