"""Connectionist temporal classification: labels in order, without saying when."""

from __future__ import annotations

from typing import cast

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.ops.activations import as_float, log_softmax
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import maximum
from symgraph.ops.comparison import logical_and, not_equal
from symgraph.ops.indexing import choose
from symgraph.ops.joining import concat
from symgraph.ops.loops import scan
from symgraph.ops.mathematics import logaddexp
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import sum as total
from symgraph.ops.shape import broadcast_to, expand_dims, reshape, squeeze, transpose
from symgraph.ops.sizes import dimension, plus, times
from symgraph.training.losses.operands import check_labels, fits

BLANK = 0
NEVER = -1e5
"""The logarithm that stands for the probability 0, as in Keras: finite, so that gradients are."""


def ctc(y_true: object, y_pred: object) -> Operand:
    """`-log` of the sum of the probabilities of all paths through `softmax(y_pred)` that spell `y_true`.

    `y_true` holds class numbers `[batch, labels]`, rows filled up with 0, which stands for the blank;
    `y_pred` logits `[batch, time, classes]`. Graves et al. 2006. About 1e5 where the time is too short.

    Errors: `ShapeError` for other ranks or batches; `OpError` for a label that is no class, where labels are values.
    """
    labels, logits = as_operand(y_true), as_float(y_pred)
    if labels.ndim != 2 or logits.ndim != 3 or not fits(labels.shape[:1], logits.shape[:1]):
        raise ShapeError("ctc: needs labels [batch, labels] and logits [batch, time, classes], "
                         f"got {labels.type} and {logits.type}")
    check_labels("ctc", labels, logits.shape[2])
    return cast(Operand, apply_composite("CTCLoss", _ctc, cast_to(labels, "int64"), logits))


def _ctc(labels: Operand, logits: Operand) -> Operand:
    """A path goes through blanks and labels in turn, `2 L + 1` places; `scores` are those of being at each."""
    batch, length = dimension(labels, 0), dimension(labels, 1)
    size = plus(times(2, length), 1)
    log_p = log_softmax(logits, -1)
    blank = broadcast_to(np.int64(BLANK), (batch, 1))
    blanks = broadcast_to(np.int64(BLANK), (batch, length, 1))
    spelled = reshape(concat([blanks, expand_dims(labels, 2)], axis=2), (batch, times(2, length)))
    places = concat([spelled, blank], axis=1)
    before = concat([blank, blank, places[:, :-2]], axis=1)
    may_skip = logical_and(not_equal(places, BLANK), not_equal(places, before))
    wanted = broadcast_to(expand_dims(places, 1), (batch, dimension(logits, 1), size))
    gains = transpose(apply("GatherElements", log_p, wanted, axis=2), (1, 0, 2))
    never = cast_to(broadcast_to(np.float32(NEVER), (batch, 1)), log_p.dtype)

    def step(scores: Operand, gain: Operand) -> tuple[Operand, None]:
        by_one = concat([never, scores[:, :-1]], axis=1)
        by_two = choose(may_skip, concat([never, never, scores[:, :-2]], axis=1), NEVER)
        return logaddexp(logaddexp(scores, by_one), by_two) + gain, None

    is_first = expand_dims(apply("Equal", apply("Range", np.int64(0), size, np.int64(1)), np.int64(0)), 0)
    zeros = cast_to(broadcast_to(np.float32(0.0), (batch, size)), log_p.dtype)
    scores, _ = scan(step, choose(is_first, zeros, NEVER), gains)
    last = expand_dims(times(2, total(cast_to(not_equal(labels, BLANK), "int64"), 1)), 1)
    at_blank = apply("GatherElements", scores, last, axis=1)
    at_label = apply("GatherElements", scores, maximum(last - np.int64(1), np.int64(0)), axis=1)
    return -squeeze(logaddexp(at_blank, choose(not_equal(last, 0), at_label, NEVER)), 1)
