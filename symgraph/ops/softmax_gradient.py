"""Gradient rules of the softmax family and of the losses made of it."""

from __future__ import annotations

from symgraph.core.gradient import Gradients, gradient_of, not_differentiable
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.promotion import cast_to
from symgraph.ops.sizes import ints

not_differentiable("its output is piecewise constant", "Hardmax")


@gradient_of("Softmax", first=13)
def _softmax_gradient(dy: Operand, y: Operand, x: Operand, *, axis: int = -1) -> Operand:
    return y * (dy - apply("ReduceSum", y * dy, ints(axis)))


@gradient_of("LogSoftmax", first=13)
def _log_softmax_gradient(dy: Operand, y: Operand, x: Operand, *, axis: int = -1) -> Operand:
    return dy - apply("Exp", y) * apply("ReduceSum", dy, ints(axis))


@gradient_of("Softmax", last=11)
def _flat_softmax_gradient(dy: Operand, y: Operand, x: Operand, *, axis: int = 1) -> Operand:
    """Before version 13 all axes from `axis` on count as one."""
    dy, p = apply("Flatten", dy, axis=axis), apply("Flatten", y, axis=axis)
    return apply("Reshape", _softmax_gradient(dy, p, x, axis=1), apply("Shape", x), allowzero=1)


@gradient_of("LogSoftmax", last=11)
def _flat_log_softmax_gradient(dy: Operand, y: Operand, x: Operand, *, axis: int = 1) -> Operand:
    """Before version 13 all axes from `axis` on count as one."""
    dy, p = apply("Flatten", dy, axis=axis), apply("Flatten", y, axis=axis)
    return apply("Reshape", _log_softmax_gradient(dy, p, x, axis=1), apply("Shape", x), allowzero=1)


@gradient_of("NegativeLogLikelihoodLoss")
def _negative_log_likelihood_gradient(
        dy: Operand, y: Operand, x: Operand, target: Operand, weight: Operand | None = None, *, reduction: str = "mean",
        ignore_index: int | None = None) -> Gradients:
    """`y = -w[t]·x[t]`, summed, or averaged by the weights, or as it is."""
    chosen, factor = _chosen(x, target, weight, ignore_index)
    if reduction == "mean":
        dy = dy / apply("ReduceSum", factor, keepdims=0)
    index = apply("Unsqueeze", chosen, ints(1))

    def to_input() -> Operand:
        share = apply("Unsqueeze", -dy * factor, ints(1))
        nothing = apply("Expand", cast_to(apply("Constant", value_float=0.0), x.dtype), apply("Shape", x))
        return apply("ScatterElements", nothing, index, share, axis=1)

    def to_weight() -> Operand:
        picked = apply("Squeeze", apply("GatherElements", x, index, axis=1), ints(1))
        kept = _kept(target, ignore_index, x.dtype)
        share = (-picked - y if reduction == "mean" else -picked) * dy * kept
        assert weight is not None
        flat = ints(-1)
        return apply("ScatterElements", weight - weight, apply("Reshape", chosen, flat), apply("Reshape", share, flat),
                     axis=0, reduction="add")

    return to_input, None, to_weight if weight is not None else None


def _chosen(x: Operand, target: Operand, weight: Operand | None, ignore_index: int | None) -> tuple[Operand, Operand]:
    """The classes, 0 where they are to be ignored, and the factor of each element, 0 there."""
    kept = _kept(target, ignore_index, x.dtype)
    if ignore_index is not None:
        target = apply("Where", apply("Equal", target, ignore_index), 0, target)
    return target, kept if weight is None else kept * apply("Gather", weight, target, axis=0)


def _kept(target: Operand, ignore_index: int | None, dtype: str) -> Operand:
    """1 for every element that counts, else 0."""
    if ignore_index is None:
        return cast_to(apply("Equal", target, target), dtype)
    return cast_to(apply("Not", apply("Equal", target, ignore_index)), dtype)


@gradient_of("SoftmaxCrossEntropyLoss", every_output=True)
def _softmax_cross_entropy_gradient(
        dys: tuple[Operand | None, ...], ys: tuple[Operand | None, ...], scores: Operand, labels: Operand,
        weights: Operand | None = None, *, reduction: str = "mean", ignore_index: int | None = None) -> Gradients:
    """The loss is that of the negative log likelihood on `log softmax(scores)`, its second output."""
    log_p = ys[1] if len(ys) > 1 and ys[1] is not None else apply("LogSoftmax", scores, axis=1)
    to_log_p: list[Operand] = [dy for dy in dys[1:] if dy is not None]
    to_weights = None
    if dys[0] is not None and ys[0] is not None:
        to_input, _, to_weights = _negative_log_likelihood_gradient(
            dys[0], ys[0], log_p, labels, weights, reduction=reduction, ignore_index=ignore_index)
        assert callable(to_input)
        to_log_p.append(to_input())  # type: ignore[arg-type]
    dlog_p = to_log_p[0] if len(to_log_p) == 1 else to_log_p[0] + to_log_p[1]
    return _log_softmax_gradient(dlog_p, log_p, scores, axis=1), None, to_weights
