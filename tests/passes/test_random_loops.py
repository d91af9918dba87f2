"""Random loops and branches in one another keep their results through every pass that looks into bodies.

`python -m tests.passes.test_random_loops 0 1000` runs more.
"""

import random
import sys

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.ops import onnx
from symgraph.passes import PassError
from symgraph.passes.bisect import is_exact
from symgraph.passes.verify import check_results
from tests.passes.test_loops import loop

PIPELINES = {
    "bodies": (passes.remove_identity, passes.hoist_invariants, passes.remove_unused,
               passes.share_common_subexpressions),
    "expands": (passes.remove_expands,), "inference": passes.INFERENCE}

UNARY = ("Exp", "Tanh", "Neg", "Abs", "Relu", "Sigmoid", "Identity", "Sqrt")


class Maker:
    """Random values of three numbers each, some computed in loops and branches that read values around them."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def grow(self, pool, count):
        """More values out of those there are."""
        pool, choice = list(pool), self.random.choice
        for _ in range(count):
            kind = self.random.random()
            if kind < 0.45:
                pool.append(onnx(choice(UNARY), choice(pool)))
            elif kind < 0.9:
                pool.append(onnx(choice(("Add", "Mul", "Sub", "Div")), choice(pool), choice(pool)))
            elif kind < 0.95:
                pool.append(onnx("Expand", choice(pool), onnx("Shape", choice(pool))))
            else:
                pool.append(choice(pool) + np.float32(choice((0.0, -0.0, 1.0))))
        return pool

    def nest(self, pool, turns, flag, depth):
        """What a loop or a branch makes of values."""
        return (self.turned if self.random.random() < 0.5 else self.branched)(pool, turns, flag, depth)

    def turned(self, pool, turns, flag, depth):
        choice, count = self.random.choice, self.random.randint(1, 3)
        captures = self.random.sample(pool, min(len(pool), self.random.randint(1, 3)))
        each = self.random.randint(0, 2)

        def body(turn, *given):
            inner = self.grow(given[:-2], self.random.randint(1, 6))
            if depth and self.random.random() < 0.5:
                inner += self.nest(inner, *given[-2:], depth - 1)
            return [choice(inner) for _ in range(count + each)]

        outputs = loop(choice([turns, np.int64(2), np.int64(0)]), body, *(choice(pool) for _ in range(count)),
                       captures=[*captures, turns, flag])
        return [y if i < count else onnx("ReduceSum", y, np.int64([0]), keepdims=0) for i, y in enumerate(outputs)]

    def branched(self, pool, turns, flag, depth):
        count = self.random.randint(1, 3)

        def branch():
            inner = self.grow(pool, self.random.randint(0, 5))
            if depth and self.random.random() < 0.4:
                inner += self.nest(inner, turns, flag, depth - 1)
            return tuple(self.random.choice(inner) for _ in range(count))

        return list(sg.cond(flag, branch, branch))


def build(seed):
    maker = Maker(seed)
    turns, flag = symbol((), "int64", name="turns"), symbol((), "bool", name="flag")
    inputs = [symbol((3,), name=f"x{i}") for i in range(2)]
    pool = maker.grow(inputs, 3)
    for _ in range(maker.random.randint(1, 3)):
        pool = maker.grow(pool + maker.nest(pool, turns, flag, 2), 1)
    return sg.Graph([turns, flag, *inputs], maker.random.sample(pool, min(len(pool), maker.random.randint(1, 3))))


def describe(seed, name):
    """What a pipeline does wrong to the graph of a seed; empty where nothing."""
    before, pipeline = build(seed), PIPELINES[name]
    try:
        after = passes.optimize(before, pipeline)
        if passes.optimize(after, pipeline) is not after:
            return "optimising twice changes more"
        if after is not before:
            check_results(before, after, name, is_exact=all(map(is_exact, pipeline)))
    except PassError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("part", range(4))
def test_random_loops_keep_their_results(name, part):
    assert [f"seed {seed}: {text}" for seed in range(part, 24, 4) if (text := describe(seed, name))] == []


if __name__ == "__main__":
    first, last = map(int, sys.argv[1:])
    found = [(seed, name, text) for seed in range(first, last) for name in PIPELINES if (text := describe(seed, name))]
    print(f"{last - first} graphs from seed {first}: {len(found)} wrong", *found, sep="\n")
