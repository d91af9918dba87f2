"""`GradientTape`: remembers which ops ran on which values, and walks back over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from symgraph.autodiff.backward import backpropagate, carries_gradient
from symgraph.autodiff.straight_through import is_quantized
from symgraph.autodiff.symbolic import Unconnected, connected, gradients, in_places_of, require_real, start
from symgraph.core.errors import GradientError
from symgraph.core.graph import Graph
from symgraph.core.op import Op, find_op
from symgraph.core.recording import recorders, watched_by
from symgraph.core.scope import current_trace
from symgraph.core.structure import flatten, pack
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.ops.joining import stack
from symgraph.ops.sequence_gradient import gradient_of_elements
from symgraph.ops.shape import reshape

_IDENTITY = find_op("Identity")


class Record:
    """An op that ran: what a node is in a graph. `gradient` is the user's own, if any."""

    __slots__ = ("attributes", "body", "gradient", "inputs", "op", "outputs")

    def __init__(self, op: Op, inputs: tuple[Operand | None, ...], attributes: Mapping[str, Any],
                 outputs: tuple[Operand | None, ...], body: Graph | None = None,
                 gradient: Callable[..., Any] | None = None) -> None:
        self.op = op
        self.inputs = inputs
        self.attributes = attributes
        self.outputs = outputs
        self.body = body
        self.gradient = gradient

    @property
    def operands(self) -> tuple[Operand | None, ...]:
        """The inputs: what ran captured nothing."""
        return self.inputs

    def describe(self) -> str:
        """The op's name: a record does not know its line."""
        return str(self.op)


class GradientTape:
    """Records ops on trainable variables and watched tensors, for their gradients.

    `gradient` may be called once, or as often as wanted on a `persistent` tape. Inside a compiled function, and on
    symbols, it is `sg.gradients`.

    >>> import symgraph as sg
    >>> x = sg.Variable(3.0)
    >>> with sg.GradientTape() as tape:
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watches_variables = watch_accessed_variables
        self._outside: tuple[Any, ...] | None = None
        self._is_used = False
        self.reset()

    def reset(self) -> None:
        """Forget everything recorded."""
        self._records: list[Record] = []
        self._carriers: set[Operand] = set()
        self._values: dict[Variable, dict[Operand, None]] = {}

    def __enter__(self) -> GradientTape:
        if self._outside is not None:
            raise GradientError("this tape is recording already; make another one")
        self._outside = recorders()
        self._scope = watched_by((*self._outside, self))
        self._scope.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._scope.__exit__(None, None, None)
        self._outside = None

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Ops that run inside are not recorded."""
        with watched_by(tuple(r for r in recorders() if r is not self)):
            yield

    def watch(self, tensor: object) -> None:
        """Record what is computed from `tensor`: a tensor, a variable, or lists and dicts of them.

        Errors: `GradientError` for what is no floating-point tensor.
        """
        for x in flatten(tensor):
            require_real([x], "watch")
            if isinstance(x, Variable):
                self._values.setdefault(x, {})
            else:
                self._carriers.add(x)

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables seen so far."""
        return tuple(self._values)

    def record(self, op: Op, operands: tuple[Operand | None, ...], attributes: Mapping[str, Any],
               outputs: tuple[Operand | None, ...], body: Graph | None = None,
               gradient: Callable[..., Any] | None = None) -> None:
        """Remember an op that ran, where it leads on from something watched."""
        inputs = tuple([x.value if isinstance(x, Variable) else x for x in operands])
        if any(isinstance(y, list) for y in outputs):  # a sequence: its elements count
            gradient = gradient_of_elements(op, inputs, attributes)
            outputs = tuple(y for y in flatten(outputs) if isinstance(y, Operand))
        if not self._carriers.isdisjoint(inputs):
            made = Record(op, inputs, attributes, outputs, body, gradient)
            self._records.append(made)
            self._carriers.update([y for y in outputs if isinstance(y, Operand) and (
                carries_gradient(y) or is_quantized(made, y, self._carriers))])

    def alias(self, old: Operand, new: Tensor) -> None:
        """Remember that `new` is the present value of a variable, or a value under a new identity."""
        if isinstance(old, Variable):
            if old in self._values or (self._watches_variables and old.trainable):
                self._values.setdefault(old, {})[new] = None
                self._carriers.add(new)
        elif old in self._carriers:
            self._records.append(Record(_IDENTITY, (old,), {}, (new,)))
            self._carriers.add(new)

    def gradient(self, target: Any, sources: Any, output_gradients: Any = None,
                 unconnected_gradients: Unconnected = "none") -> Any:
        """The gradients of `target` with respect to `sources`, nested as `sources`.

        Targets that are no scalars count as the sum of their elements; of several targets the gradients add up.
        `output_gradients` are factors of the shape of `target`. Sources that the target does not depend on have None,
        or zeros with `unconnected_gradients="zero"`.

        Errors: `GradientError` where an op has no gradient rule, for integers, and for a second call on a tape that
        is not persistent.
        """
        targets, wanted = flatten(target), flatten(sources)
        if _is_symbolic((*targets, *wanted)):
            given = in_places_of(target, output_gradients)
            return pack(sources, gradients(targets, wanted, given, unconnected_gradients))
        self._use()
        require_real(wanted, "a gradient with respect to")
        require_real(targets, "the gradient of")
        ys = [y.value if isinstance(y, Variable) else y for y in targets]
        dys = start(ys, in_places_of(target, output_gradients))
        with self._replaying():
            return pack(sources, connected(wanted, self._walk(ys, dys, wanted), unconnected_gradients))

    def jacobian(self, target: Any, sources: Any, unconnected_gradients: Unconnected = "none") -> Any:
        """`J[i…, j…] = ∂target[i…] / ∂source[j…]` for each source.

        Errors: as `gradient`.
        """
        wanted = flatten(sources)
        self._use()
        require_real(wanted, "a Jacobian with respect to")
        require_real([target], "the Jacobian of")
        y = target.value if isinstance(target, Variable) else target
        units = np.eye(y.size, dtype=y.numpy().dtype).reshape(y.size, *y.shape)
        with self._replaying():
            rows = [self._walk([y], [Tensor(np.asarray(unit))], wanted) for unit in units]
            columns = [_stacked([row[i] for row in rows], y, x) for i, x in enumerate(wanted)]
            return pack(sources, connected(wanted, columns, unconnected_gradients, units.shape[1:]))

    def batch_jacobian(self, target: Any, source: Any, unconnected_gradients: Unconnected = "none") -> Any:
        """`J[n, i…, j…] = ∂target[n, i…] / ∂source[n, j…]`, where each row depends on its own row alone.

        Errors: `GradientError` for different numbers of rows, and as `gradient`.
        """
        if not target.shape or not source.shape or target.shape[0] != source.shape[0]:
            raise GradientError(f"batch_jacobian: target and source need the same first axis, got {target.shape} and "
                                f"{source.shape}")
        self._use()
        require_real([source], "a Jacobian with respect to")
        require_real([target], "the Jacobian of")
        batch, *rest = target.shape
        size = int(np.prod(rest, dtype=np.int64))
        units = np.eye(size, dtype=target.numpy().dtype).reshape(size, 1, *rest)
        seeds = [Tensor(np.ascontiguousarray(np.broadcast_to(unit, target.shape))) for unit in units]
        with self._replaying():
            rows = [self._walk([target], [seed], [source])[0] for seed in seeds]
            column = None if not rows or rows[0] is None else reshape(
                stack(rows, axis=1), (batch, *rest, *source.shape[1:]))
            return connected([source], [column], unconnected_gradients, tuple(rest))[0]

    def _use(self) -> None:
        if self._is_used and not self._persistent:
            raise GradientError("a tape gives its gradients once; make it with persistent=True to ask it again")
        self._is_used = True

    @contextmanager
    def _replaying(self) -> Iterator[None]:
        """Other tapes go on watching; this one only where it is persistent."""
        with watched_by(tuple(r for r in recorders() if r is not self or self._persistent)):
            yield
        if not self._persistent:
            self.reset()

    def _walk(self, ys: list[Operand], dys: list[Operand], wanted: list[Operand]) -> list[Operand | None]:
        values = {x: list(self._values.get(x, ())) if isinstance(x, Variable) else [x] for x in wanted}
        found = backpropagate(list(self._records), ys, dys, [v for each in values.values() for v in each])
        totals = []
        for x in wanted:
            parts = [found[v] for v in values[x] if v in found]
            totals.append(None if not parts else parts[0] if len(parts) == 1 else sum(parts[1:], parts[0]))
        return totals


def _is_symbolic(operands: Iterable[object]) -> bool:
    return any(isinstance(x, SymbolicTensor) for x in operands) or (
        current_trace() is not None and any(isinstance(x, Variable) for x in operands))


def _stacked(rows: list[Operand | None], y: Operand, x: Operand) -> Operand | None:
    present = [row for row in rows if row is not None]
    if not present:
        return None
    return reshape(stack(present, axis=0), (*y.shape, *x.shape))
