"""Random numbers: known answers of Philox, distributions, seeds, and what happens on symbols and in traces."""

import numpy as np
import onnxruntime
import pytest
import scipy.special
import scipy.stats

import symgraph as sg
from symgraph import ops
from symgraph.core.apply import symbol
from symgraph.core.composite import apply_composite
from symgraph.core.scope import Trace, tracing
from symgraph.ops.philox import philox, random_bits

random = sg.random
DRAWS = {
    "uniform": lambda shape, **o: random.uniform(shape, **o),
    "normal": lambda shape, **o: random.normal(shape, **o),
    "truncated_normal": lambda shape, **o: random.truncated_normal(shape, **o),
    "randint": lambda shape, **o: random.randint(shape, -1000, 1000, **o),
    "gamma": lambda shape, **o: random.gamma(shape, 0.7, **o),
    "beta": lambda shape, **o: random.beta(shape, 2.0, 3.0, **o),
    "binomial": lambda shape, **o: random.binomial(shape, 1000, 0.3, **o),
    "binomial of few": lambda shape, **o: random.binomial(shape, 1000, 0.009, **o),
}


def evaluate(outputs, inputs=(), *values):
    return [x.numpy() for x in sg.runtime.evaluate(sg.Graph(inputs, outputs), *values)]


KNOWN_ANSWERS = {  # Random123's kat_vectors: counter, key, result
    "zeros": ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    "ones": ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    "pi": ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
}


def words(text):
    return [np.uint32(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize("case", KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(case):
    counter, key, answer = map(words, KNOWN_ANSWERS[case])

    result = philox(tuple(map(sg.tensor, counter)), tuple(map(sg.tensor, key)))

    assert [int(x) for x in result] == [int(x) for x in answer]


def reference_bits(seed, step, stream, count):
    """Philox in Python integers."""
    columns = [[], [], [], []]
    for block in range(-(-count // 4)):
        c, k = [block, stream, step % 2**32, step >> 32], [seed % 2**32, seed >> 32]
        for _ in range(10):
            a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [(b >> 32) ^ c[1] ^ k[0], b % 2**32, (a >> 32) ^ c[3] ^ k[1], a % 2**32]
            k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
        for column, word in zip(columns, c, strict=True):
            column.append(word)
    return np.concatenate(columns)[:count].astype(np.uint32)


@pytest.mark.parametrize("count", [0, 1, 4, 11])
def test_random_bits_count_blocks_streams_and_steps(count):
    seed, step, stream = 0x123456789ABCDEF0, 0x500000007, 3

    bits = apply_composite("RandomBits", random_bits, np.array([seed, step]), np.int64(stream), np.int64(count))

    np.testing.assert_array_equal(bits.numpy(), reference_bits(seed, step, stream, count))


def test_uniform_is_the_top_24_bits_of_a_word():
    state = random.SeedGenerator(5).state.numpy()

    x = random.uniform((9,), seed=sg.tensor(state)).numpy()

    np.testing.assert_array_equal(x, (reference_bits(5, 0, 0, 9) >> 8).astype(np.float32) * np.float32(2**-24))


def test_normal_is_the_quantile_function_of_a_word():
    x = random.normal((10_000,), seed=sg.tensor(np.array([5, 0]))).numpy()

    probability = (reference_bits(5, 0, 0, 10_000) + 0.5) / 2**32
    np.testing.assert_allclose(x, scipy.special.ndtri(probability), rtol=1e-6, atol=1e-7)


DISTRIBUTIONS = {
    "uniform": (lambda n, d: random.uniform((n,), -2, 3, d, seed=1), scipy.stats.uniform(-2, 5)),
    "normal": (lambda n, d: random.normal((n,), 1, 3, d, seed=1), scipy.stats.norm(1, 3)),
    "truncated_normal": (lambda n, d: random.truncated_normal((n,), 1, 3, d, seed=1),
                         scipy.stats.truncnorm(-2, 2, 1, 3)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_numbers_follow_their_distribution(name, dtype):
    draw, distribution = DISTRIBUTIONS[name]

    x = draw(200_000, dtype).numpy()

    assert x.dtype == dtype
    assert scipy.stats.kstest(x.astype(np.float64), distribution.cdf).pvalue > 1e-3


def test_whole_numbers_are_equally_likely():
    x = random.randint((60_000,), -3, 3, seed=1).numpy()

    values, counts = np.unique(x, return_counts=True)
    assert values.tolist() == [-3, -2, -1, 0, 1, 2]
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64", "uint64"])
def test_whole_numbers_reach_both_ends_of_a_dtype(dtype):
    info = np.iinfo(dtype)

    x = random.randint((5000,), int(info.min), int(info.max) + 1, dtype, seed=1).numpy()

    span = int(info.max) - int(info.min)
    assert x.dtype == dtype
    assert int(x.min()) < info.min + span / 100 and int(x.max()) > info.max - span / 100


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_uniform_never_reaches_its_upper_end(dtype):
    x = random.uniform((300_000,), 1.0, 1.01, dtype, seed=1).numpy().astype(np.float64)

    assert x.min() >= 1 and x.max() < 1.01


def test_truncated_normal_stays_within_two_deviations():
    x = random.truncated_normal((300_000,), 0.0, 1.0, seed=1).numpy()

    assert 1.99 < np.abs(x).max() <= 2


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (2, 3), 4, [2, 1]])
@pytest.mark.parametrize("name", DRAWS)
def test_any_shape_may_be_asked_for(name, shape):
    assert DRAWS[name](shape, seed=1).shape == np.zeros(shape).shape


@pytest.mark.parametrize("name", DRAWS)
def test_a_number_as_seed_gives_the_same_numbers_at_every_call(name):
    a, b, c = (DRAWS[name]((50,), seed=s).numpy() for s in (1, 1, 2))

    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("name", DRAWS)
def test_set_seed_starts_the_global_generator_anew(name):
    random.set_seed(6)
    a, b = DRAWS[name]((50,)).numpy(), DRAWS[name]((50,)).numpy()
    random.set_seed(6)

    np.testing.assert_array_equal(DRAWS[name]((50,)).numpy(), a)
    assert not np.array_equal(a, b)


def test_a_seed_generator_goes_on_with_each_draw():
    a, b = random.SeedGenerator(3), random.SeedGenerator(3)

    first, second = random.normal((5,), seed=a).numpy(), random.normal((5,), seed=a).numpy()

    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(random.normal((5,), seed=b).numpy(), first)
    np.testing.assert_array_equal(random.normal((5,), seed=b.next()).numpy(), second)


def test_a_generator_without_seed_follows_the_global_seed():
    random.set_seed(1)
    a, b = random.SeedGenerator(), random.SeedGenerator()
    random.set_seed(1)

    assert random.SeedGenerator().seed == a.seed != b.seed


@pytest.mark.parametrize("name", DRAWS)
def test_a_file_draws_what_is_drawn_here(name, tmp_path):
    x = symbol((2,), name="x")
    graph = sg.Graph([x], [x + ops.cast(DRAWS[name]((30, 2), seed=4), "float32")])

    sg.runtime.save(graph, tmp_path / "draw.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "draw.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.zeros(2, np.float32)})

    np.testing.assert_array_equal(found, DRAWS[name]((30, 2), seed=4).numpy().astype(np.float32))


def test_seeds_of_generators_and_numbers_draw_different_numbers():
    random.set_seed(3)
    draws = [random.uniform((50,), seed=s).numpy() for s in (None, 3, random.SeedGenerator(3))]

    assert len({x.tobytes() for x in draws}) == 3


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_leaves_alive_only_what_it_returns(name):
    before = sg.memory().num_tensors

    x = DRAWS[name]((4,))

    assert sg.memory().num_tensors == before + 1
    del x
    assert sg.memory().num_tensors == before


def test_a_first_draw_inside_tidy_can_be_repeated_after_it():
    def draw():
        return random.randint((3,), 0, 9, "uint16", seed=1)

    first = sg.tidy(draw).numpy()

    np.testing.assert_array_equal(draw().numpy(), first)


# On symbols and in traces.


@pytest.mark.parametrize("name", DRAWS)
def test_an_open_shape_makes_one_node_that_knows_its_rank(name):
    x = symbol((None, 3))

    y = DRAWS[name]((ops.shape(x)[0], 5), seed=1)

    assert isinstance(y, sg.SymbolicTensor) and y.shape[1:] in ((5,), (None,))
    for count in (0, 2, 7):
        (found,) = evaluate([y], [x], np.zeros((count, 3), np.float32))
        np.testing.assert_array_equal(found, DRAWS[name]((count, 5), seed=1).numpy())


@pytest.mark.parametrize("seed", [None, 3], ids=["global", "number"])
@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_in_a_trace_is_recorded_with_its_shape(name, seed):
    with tracing(Trace()):
        y = DRAWS[name]((2, 3), seed=seed)

    assert isinstance(y, sg.SymbolicTensor) and y.shape == (2, 3)
    assert y.node.op.domain == "symgraph"


def test_a_traced_draw_with_a_number_as_seed_equals_the_same_draw_on_values():
    with tracing(Trace()):
        y = random.normal((2, 3), seed=4)

    np.testing.assert_array_equal(evaluate([y])[0], random.normal((2, 3), seed=4).numpy())


def test_two_draws_in_one_graph_differ():
    with tracing(Trace()):
        a, b = random.normal((20,)), random.normal((20,))

    first, second = evaluate([a, b])
    assert not np.array_equal(first, second)


def test_a_traced_function_goes_one_step_on_at_each_call():
    @sg.function
    def draws(x):
        return x + random.uniform((4,)), x + random.uniform((4,))

    random.set_seed(2)
    zero = sg.tensor(np.float32(0))
    first, second = draws(zero), draws(zero)
    random.set_seed(2)
    again = draws(zero)

    assert len({x.numpy().tobytes() for x in (*first, *second)}) == 4
    np.testing.assert_array_equal(again[0].numpy(), first[0].numpy())


@pytest.mark.parametrize("name", DRAWS)
def test_a_number_as_seed_gives_the_same_numbers_at_every_call_of_a_traced_function(name):
    draw = sg.function(lambda x: x + ops.cast(DRAWS[name]((20,), seed=4), "float32"))
    zero = sg.tensor(np.float32(0))

    first, second = draw(zero).numpy(), draw(zero).numpy()

    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, DRAWS[name]((20,), seed=4).numpy().astype(np.float32))


def test_a_restored_state_gives_the_numbers_that_followed_it():
    generator = random.SeedGenerator(8)
    drop = sg.function(lambda x: random.dropout(x, 0.5, seed=generator))
    ones = np.ones(40, np.float32)
    drop(ones)
    saved = generator.state.numpy().copy()
    following = [drop(ones).numpy(), random.normal((4,), seed=generator).numpy(), drop(ones).numpy()]

    generator.state.assign(saved)
    again = [drop(ones).numpy(), random.normal((4,), seed=generator).numpy(), drop(ones).numpy()]

    assert [x.tobytes() for x in again] == [x.tobytes() for x in following]
    assert not np.array_equal(following[0], following[2])


def test_what_a_function_draws_does_not_depend_on_what_was_traced_before():
    def drops(*sizes):
        generator = random.SeedGenerator(8)
        drop = sg.function(lambda x: (random.dropout(x, 0.5, seed=generator), random.dropout(x, 0.5, seed=generator)))
        for size in sizes:
            generator.state.assign(np.array([8, 3]))  # where a resumed run goes on
            found = drop(np.ones(size, np.float32))
        return [x.numpy() for x in found]

    once, retraced = drops(50), drops(7, 50)

    np.testing.assert_array_equal(once, retraced)
    assert not np.array_equal(*once)


def test_a_draw_of_a_branch_differs_from_those_around_it():
    generator = random.SeedGenerator(8)

    @sg.function
    def draws(x):
        first = random.uniform((20,), seed=generator)
        second = ops.cond(ops.max(x) > 0, lambda: random.uniform((20,), seed=generator), lambda: x)
        return first, second, random.uniform((20,), seed=generator)

    assert len({x.numpy().tobytes() for x in draws(np.ones(20, np.float32))}) == 3


def test_a_bare_graph_is_a_pure_function_until_its_generator_advances():
    generator = random.SeedGenerator(1)
    x = symbol((4, 5))
    y = random.dropout(x, 0.5, seed=generator)
    ones = np.ones((4, 5), np.float32)

    first, same = evaluate([y], [x], ones)[0], evaluate([y], [x], ones)[0]
    generator.advance()

    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(evaluate([y], [x], ones)[0], first)


def test_dropout_on_a_symbol_is_one_node_that_reads_the_generator():
    generator = random.SeedGenerator(1)
    x = symbol(("N", 5))

    graph = sg.Graph([x], [random.dropout(x, 0.5, seed=generator)])

    assert graph.variables == (generator.state,)
    assert graph.outputs[0].type == x.type
    assert [node.op.name for node in graph.nodes if node.op.domain] == ["RandomDropout"]


def test_set_seed_in_between_does_not_change_what_a_symbol_draws_from_its_own_generator():
    generator = random.SeedGenerator(1)
    x = symbol((3,))
    y = random.dropout(x, 0.5, seed=generator)

    before = evaluate([y], [x], np.ones(3, np.float32))[0]
    random.set_seed(9)

    np.testing.assert_array_equal(evaluate([y], [x], np.ones(3, np.float32))[0], before)


# Dropout.


def test_dropout_keeps_the_mean():
    x = random.dropout(np.ones((300, 400), np.float32), 0.3, seed=1).numpy()

    assert set(np.unique(x)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs((x == 0).mean() - 0.3) < 0.005


@pytest.mark.parametrize(("noise_shape", "axis"), [((None, 1), 1), ((1, None), 0), ((4, 1), 1)])
def test_dropout_drops_along_whole_axes(noise_shape, axis):
    x = random.dropout(np.ones((4, 6), np.float32), 0.5, noise_shape, seed=1).numpy()

    assert (np.ptp(x, axis) == 0).all()


def test_dropout_at_its_ends():
    x = np.float32([1, np.nan, 3])

    np.testing.assert_array_equal(random.dropout(x, 0.0), x)
    np.testing.assert_array_equal(random.dropout(x, 1.0), np.zeros(3))


BAD = {
    "seed": (lambda: random.normal((2,), seed="one"), "SeedGenerator.*'one'"),
    "boolean seed": (lambda: random.set_seed(True), "whole number"),
    "key": (lambda: random.normal((2,), seed=sg.tensor([1.0])), r"int64\[2\]"),
    "dtype": (lambda: random.normal((2,), dtype="int32"), "int32"),
    "integer dtype": (lambda: random.randint((2,), 0, 5, "float32"), "uniform"),
    "empty range": (lambda: random.randint((2,), 5, 5), "minval 5.*maxval 5"),
    "narrow dtype": (lambda: random.randint((2,), 0, 300, "uint8"), "uint8 cannot hold"),
    "negative": (lambda: random.uniform((2, -1)), "negative"),
    "rate": (lambda: random.dropout(np.ones(2, np.float32), 1.5), "0 to 1, got 1.5"),
    "parameter shape": (lambda: random.normal((2,), np.zeros(3)), r"shape \(3,\) does not broadcast.*\(2,\)"),
    "noise shape": (lambda: random.dropout(np.ones((2, 3), np.float32), 0.5, (1,)), "1 entries"),
    "noise size": (lambda: random.dropout(np.ones((2, 3), np.float32), 0.5, (3, 1)),
                   r"1, None or the size of the inputs, got \(3, 1\) for shape \(2, 3\)"),
    "rate of text": (lambda: random.dropout(np.ones(2, np.float32), "half"), "0 to 1, got 'half'"),
}


@pytest.mark.parametrize("case", BAD)
def test_arguments_that_do_not_fit_are_told_at_once(case):
    call, message = BAD[case]

    with pytest.raises(sg.SymgraphError, match=message):
        call()


def test_a_layer_applied_twice_in_a_model_draws_differently_each_time():
    x = sg.Input((1000,))
    drop = sg.layers.Dropout(0.5)
    graph = sg.Graph([x], [drop(x, training=True) - drop(x, training=True)])

    (difference,) = sg.runtime.evaluate(graph, np.ones((1, 1000), np.float32))

    assert 0.4 < np.mean(difference.numpy() != 0) < 0.6


def test_dropouts_in_the_branches_of_two_layers_differ():
    drop = sg.layers.Dropout(0.5)
    branch = sg.layers.Lambda(lambda x: sg.cond(sg.sum(x) > 0, lambda: drop(x, training=True), lambda: x))
    x = sg.Input((1000,))
    graph = sg.Graph([x], [branch(x) - branch(x)])

    (difference,) = sg.runtime.evaluate(graph, np.ones((1, 1000), np.float32))

    assert 0.4 < np.mean(difference.numpy() != 0) < 0.6
