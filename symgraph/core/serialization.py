"""Objects as plain data in Keras's manner, which JSON takes, and back.

An object becomes `{"module", "class_name", "config", "registered_name"}`; classes of ours go under Keras's modules.
What is read is looked up in the registries (`registry.py`) and never imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.core.errors import FormatError, UnsafeModelError
from symgraph.core.registry import Registry, find_custom, get_registered_name, registries
from symgraph.core.types import as_dtype, numpy_dtype
from symgraph.core.value import Tensor, as_array
from symgraph.core.variable import Variable

__all__ = ["deserialize_keras_object", "serialize_keras_object"]

_PACKAGES = ("keras", "tf_keras", "tensorflow", "symgraph")


def serialize_keras_object(obj: Any) -> Any:
    """`obj` as plain data: numbers, text, lists, dicts, arrays, functions, and objects that have `get_config()`.

    Functions become their names, or the names they are registered under.

    Errors: `FormatError` for lambdas, classes, symbols, and objects without `get_config()`.

    >>> import symgraph as sg
    >>> serialize_keras_object({"loss": sg.losses.Huber(delta=2.0), "rate": 0.5})["loss"]["class_name"]
    'Huber'
    """
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    if isinstance(obj, list | tuple):
        return type(obj)(serialize_keras_object(x) for x in obj) if type(obj) in (list, tuple) else [
            serialize_keras_object(x) for x in obj]
    if isinstance(obj, Mapping):
        return {str(key): serialize_keras_object(x) for key, x in obj.items()}
    special = _serialize_special(obj)
    if special is not None:
        return special
    if inspect.isclass(obj):
        raise FormatError(f"class {obj.__name__} cannot be written down; give an object of it")
    if hasattr(obj, "get_config"):
        home = next((registry for registry in registries() if registry.holds(obj)), None)
        return {"module": None if home is None else f"keras.{home.modules[0]}".rstrip("."),
                "class_name": type(obj).__name__,
                "config": serialize_keras_object(obj.get_config()),
                "registered_name": None if home is not None else get_registered_name(type(obj))}
    if callable(obj) and getattr(obj, "__name__", "<lambda>") != "<lambda>":
        return {"module": "builtins", "class_name": "function", "config": get_registered_name(obj),
                "registered_name": "function"}
    raise FormatError(f"{obj!r} cannot be written down; an object needs get_config(), a function a name")


def _serialize_special(obj: Any) -> Any:
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, np.dtype):
        return obj.name
    if isinstance(obj, np.ndarray):
        return _special("numpy", value=obj.tolist(), dtype=obj.dtype.name)
    if isinstance(obj, Tensor | Variable):
        return _special("tensor", value=obj.numpy().tolist(), dtype=obj.dtype)
    if isinstance(obj, bytes):
        return _special("bytes", value=obj.decode())
    if isinstance(obj, slice):
        return _special("slice", start=obj.start, stop=obj.stop, step=obj.step)
    return _special("ellipsis") if obj is Ellipsis else None


def _special(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": f"__{kind}__", "config": config}


def deserialize_keras_object(config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
                             ) -> Any:
    """What `serialize_keras_object`, or Keras, wrote down. `custom_objects` are classes and functions, by name.

    Classes are looked up among ours, those registered and those in scope. Python code in a configuration is not run,
    whatever `safe_mode` says.

    Errors: `FormatError` for what has not the form, or a name that nobody registered; `UnsafeModelError` for modules
    that are not Keras's, and for code.

    >>> import symgraph as sg
    >>> config = serialize_keras_object(sg.layers.Dense(3, activation="relu"))
    >>> deserialize_keras_object(config).units
    3
    """
    if isinstance(config, list | tuple):
        return type(config)(deserialize_keras_object(x, custom_objects) for x in config)
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config:
        return {key: deserialize_keras_object(x, custom_objects) for key, x in config.items()}
    name, inner = config["class_name"], config.get("config")
    if not isinstance(name, str):
        raise FormatError(f"the class_name of a configuration is a word, got {name!r}")
    if name.startswith("__"):
        return _deserialize_special(name, inner)
    if name == "function":
        return _find_function(inner, custom_objects)
    if not isinstance(inner, Mapping | None):
        raise FormatError(f"the config of {name!r} must be a dict, got {inner!r}")
    found = find_custom(config.get("registered_name"), custom_objects) or find_custom(name, custom_objects)
    if found is None:
        return _home_of(name, config.get("module")).deserialize(config, custom_objects)
    if not inspect.isclass(found):
        return found
    make = getattr(found, "from_config", lambda arguments: found(**arguments))
    return make(dict(inner or {}))


def _deserialize_special(name: str, config: Any) -> Any:
    try:
        match name:
            case "__numpy__":
                return np.array(config["value"], numpy_dtype(as_dtype(config["dtype"])))
            case "__tensor__":
                return Tensor(np.array(as_array(config["value"], as_dtype(config["dtype"]))))
            case "__bytes__":
                return str(config["value"]).encode()
            case "__slice__":
                return slice(config["start"], config["stop"], config["step"])
            case "__ellipsis__":
                return Ellipsis
    except (KeyError, TypeError):
        raise FormatError(f"the config of {name} does not say what it is: {config!r}") from None
    if name == "__lambda__":
        raise UnsafeModelError("the configuration holds Python code, which is not run; write the function anew, and "
                               "give it in custom_objects under its layer's name")
    raise FormatError(f"nothing is known of {name}")


def _find_function(name: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    found = find_custom(name, custom_objects)
    for registry in registries() if found is None else ():
        found = found or registry.functions().get(name)
    if found is None:
        raise FormatError(f"there is no function {name!r}; decorate it with register_keras_serializable, or give it in "
                          "custom_objects")
    return found


def _home_of(name: str, module: Any) -> Registry:
    """The registry of a class, by the module that Keras has it in; without one, the only one that knows it."""
    if module is None:
        homes = [registry for registry in registries() if name in registry.names()]
    else:
        package, *parts = str(module).split(".")
        if package not in _PACKAGES:
            raise UnsafeModelError(f"the configuration asks for {name!r} of module {module!r}, which is not imported; "
                                   "decorate the class with register_keras_serializable, or give it in custom_objects")
        while parts and parts[0] in ("keras", "python", "api", "src"):
            parts = parts[1:]
        lengths = {registry: max((len(own) for own in map(_parts, registry.modules) if parts[:len(own)] == own),
                                 default=-1) for registry in registries()}
        best = max(lengths.values())
        homes = [registry for registry, length in lengths.items() if length == best >= bool(parts)]
    if not homes:
        place = f" of module {module!r}" if module is not None else ""
        raise FormatError(f"there is no class {name!r}{place}; decorate it with register_keras_serializable, or give "
                          "it in custom_objects")
    knowing = [registry for registry in homes if name in registry.names()] or homes
    if module is None and len(knowing) > 1:
        kinds = " or ".join(registry.kind for registry in knowing)
        raise FormatError(f"{name!r} may be a {kinds}; the configuration must say its module")
    return knowing[0]


def _parts(module: str) -> list[str]:
    return module.split(".") if module else []
