"""Layered layout of a directed acyclic graph: boxes in rows, edges that run downwards and bend little.

Rows by longest path, order within a row by barycentres (Sugiyama, Tagawa and Toda 1981), places by weighted
least squares under the order, which pooling of adjacent violators solves exactly.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Key = Hashable

COLUMN_GAP, ROW_GAP, PART_GAP = 26.0, 44.0, 60.0
SWEEPS = 12
BEND_WEIGHT = 6.0
"""How much more a long edge wants to be straight than a box wants to be in the middle."""


@dataclass(frozen=True)
class Layout:
    """Where the middle of each box is, and through which points each edge runs, source and target included."""

    places: Mapping[Key, tuple[float, float]]
    routes: Mapping[tuple[Key, Key], tuple[tuple[float, float], ...]]
    width: float
    height: float


@dataclass(frozen=True)
class _Bend:
    """Where a long edge crosses a row; edges of one source run together."""

    source: Key
    row: int


def lay_out(boxes: Mapping[Key, tuple[float, float]], edges: Sequence[tuple[Key, Key]]) -> Layout:
    """Place boxes, given as width and height in an order in which edges go forwards.

    Parts that do not hang together stand side by side, on as many shelves as make the whole about as wide as high.
    """
    parts = _parts(boxes, edges)
    part_of = {x: number for number, part in enumerate(parts) for x in part}
    own_edges: list[list[tuple[Key, Key]]] = [[] for _ in parts]
    for edge in edges:
        own_edges[part_of[edge[0]]].append(edge)
    layouts = [_lay_out_part({x: boxes[x] for x in part}, own) for part, own in zip(parts, own_edges, strict=True)]
    area = sum((x.width + PART_GAP) * (x.height + PART_GAP) for x in layouts)
    limit = max([math.sqrt(area), *(x.width for x in layouts)])
    places: dict[Key, tuple[float, float]] = {}
    routes: dict[tuple[Key, Key], tuple[tuple[float, float], ...]] = {}
    left = top = width = height = 0.0
    for layout in layouts:
        if left and left + layout.width > limit:
            left, top = 0.0, height + PART_GAP
        places.update((x, (left + a, top + b)) for x, (a, b) in layout.places.items())
        routes.update((edge, tuple((left + a, top + b) for a, b in route)) for edge, route in layout.routes.items())
        width, height = max(width, left + layout.width), max(height, top + layout.height)
        left += layout.width + PART_GAP
    return Layout(places, routes, width, height)


def _parts(boxes: Mapping[Key, tuple[float, float]], edges: Sequence[tuple[Key, Key]]) -> list[list[Key]]:
    """The boxes that hang together, the most first."""
    near: dict[Key, list[Key]] = defaultdict(list)
    for a, b in edges:
        near[a].append(b)
        near[b].append(a)
    part_of: dict[Key, int] = {}
    for start in boxes:
        waiting = [] if start in part_of else [start]
        part_of.setdefault(start, len(part_of))
        while waiting:
            for x in near[waiting.pop()]:
                if x not in part_of:
                    part_of[x] = part_of[start]
                    waiting.append(x)
    parts: dict[int, list[Key]] = {}
    for x in boxes:
        parts.setdefault(part_of[x], []).append(x)
    return sorted(parts.values(), key=len, reverse=True)


def _lay_out_part(boxes: Mapping[Key, tuple[float, float]], edges: Sequence[tuple[Key, Key]]) -> Layout:
    rows = _rows(boxes, edges)
    chains = {edge: _chain(edge, rows) for edge in edges}
    for chain in chains.values():
        rows.update((x, x.row) for x in chain if isinstance(x, _Bend))
    above: dict[Key, dict[Key, None]] = defaultdict(dict)
    below: dict[Key, dict[Key, None]] = defaultdict(dict)
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            below[upper][lower] = None
            above[lower][upper] = None
    layers: list[list[Key]] = [[] for _ in range(max(rows.values(), default=-1) + 1)]
    for x in rows:
        layers[rows[x]].append(x)
    _order(layers, above, below)
    x_of = _columns(layers, above, below, {x: boxes.get(x, (2.0, 0.0))[0] for x in rows})
    y_of, height = _heights(layers, boxes)
    left = min((x_of[x] - boxes[x][0] / 2 for x in boxes), default=0.0)
    places = {x: (x_of[x] - left, y_of[rows[x]]) for x in rows}
    left = min((place[0] for place in places.values()), default=0.0)
    places = {x: (place[0] - min(left, 0.0), place[1]) for x, place in places.items()}
    width = max((places[x][0] + boxes.get(x, (0.0, 0.0))[0] / 2 for x in rows), default=0.0)
    tall = [max((boxes[x][1] for x in layer if x in boxes), default=0.0) for layer in layers]
    routes = {edge: _route(chain, places, boxes, tall) for edge, chain in chains.items()}
    return Layout({x: places[x] for x in boxes}, routes, width, height)


def _rows(boxes: Mapping[Key, tuple[float, float]], edges: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """Longest path from above; what nothing leads to stands right above its first reader."""
    rows: dict[Key, int] = dict.fromkeys(boxes, 0)
    out: dict[Key, list[Key]] = defaultdict(list)
    has_source = {target for _, target in edges}
    for source, target in edges:
        out[source].append(target)
    for x in boxes:
        for target in out[x]:
            rows[target] = max(rows[target], rows[x] + 1)
    for x in boxes:
        if x not in has_source and out[x]:
            rows[x] = min(rows[target] for target in out[x]) - 1
    return rows


def _chain(edge: tuple[Key, Key], rows: Mapping[Key, int]) -> tuple[Key, ...]:
    source, target = edge
    return (source, *(_Bend(source, row) for row in range(rows[source] + 1, rows[target])), target)


def _order(layers: list[list[Key]], above: Mapping[Key, Mapping[Key, None]],
           below: Mapping[Key, Mapping[Key, None]]) -> None:
    """Sort each row by the mean position of what it hangs on, downwards and upwards in turn; keep the best."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, above)
    for sweep in range(SWEEPS):
        near = below if sweep % 2 else above
        for index in (range(len(layers) - 2, -1, -1) if sweep % 2 else range(1, len(layers))):
            other = layers[index + 1] if sweep % 2 else layers[index - 1]
            position = {x: i / max(len(other) - 1, 1) for i, x in enumerate(other)}
            own = {x: i / max(len(layers[index]) - 1, 1) for i, x in enumerate(layers[index])}
            layers[index].sort(key=lambda x, position=position, own=own, near=near: (  # type: ignore[misc]
                sum(position[y] for y in near[x]) / len(near[x]) if near.get(x) else own[x]))
        crossings = _crossings(layers, above)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _crossings(layers: list[list[Key]], above: Mapping[Key, Mapping[Key, None]]) -> int:
    """How often edges between neighbouring rows cross."""
    count = 0
    for upper, lower in pairwise(layers):
        position = {x: i for i, x in enumerate(upper)}
        ends: list[int] = []
        for x in lower:
            found = sorted(position[y] for y in above.get(x, ()))
            count += sum(end > start for start in found for end in ends)
            ends += found
    return count


def _columns(layers: list[list[Key]], above: Mapping[Key, Mapping[Key, None]],
             below: Mapping[Key, Mapping[Key, None]], widths: Mapping[Key, float]) -> dict[Key, float]:
    """Horizontal places: every box as near to the mean of its neighbours as its row allows."""
    x_of: dict[Key, float] = {}
    for layer in layers:
        x_of.update(_spread(layer, dict.fromkeys(layer, 0.0), widths))
    for sweep in range(3 * SWEEPS):
        is_upwards = sweep % 2 == 1
        for layer in reversed(layers) if is_upwards else layers:
            wanted = {}
            for x in layer:
                near = [*above.get(x, ()), *below.get(x, ())] if sweep > SWEEPS else [
                    *(below if is_upwards else above).get(x, ())]
                weights = [BEND_WEIGHT if isinstance(y, _Bend) and isinstance(x, _Bend) else 1.0 for y in near]
                total = sum(weights)
                wanted[x] = sum(w * x_of[y] for w, y in zip(weights, near, strict=True)) / total if near else x_of[x]
            x_of.update(_spread(layer, wanted, widths))
    _straighten(layers, above, below, widths, x_of)
    return x_of


def _straighten(layers: list[list[Key]], above: Mapping[Key, Mapping[Key, None]],
                below: Mapping[Key, Mapping[Key, None]], widths: Mapping[Key, float], x_of: dict[Key, float]) -> None:
    """Let chains follow their first box, and that stand between what is above it and what is below the last."""
    leader: dict[Key, Key] = {}
    columns: dict[Key, list[Key]] = {}
    for layer in layers:
        for x in layer:
            over = tuple(above.get(x, ()))
            is_follower = len(over) == 1 and len(below[over[0]]) == 1
            leader[x] = leader[over[0]] if is_follower else x
            columns.setdefault(leader[x], []).append(x)
    for _ in range(SWEEPS):
        for layer in layers:
            wanted = {}
            for x in layer:
                column = columns.get(x)
                if column is None:
                    wanted[x] = x_of[leader[x]]
                    continue
                near = [*above.get(x, ()), *below.get(column[-1], ())]
                own = sum(x_of[y] for y in column) / len(column)
                wanted[x] = (own + sum(x_of[y] for y in near) / len(near)) / 2 if near else own
            x_of.update(_spread(layer, wanted, widths, frozenset(x for x in layer if x not in columns)))


def _spread(layer: Sequence[Key], wanted: Mapping[Key, float], widths: Mapping[Key, float],
            firm: frozenset[Key] = frozenset()) -> dict[Key, float]:
    """The places nearest to the wanted ones, in order and apart: neighbours that collide are moved together."""
    offsets, offset = [], 0.0
    for before, x in zip((None, *layer), layer, strict=False):
        if before is not None:
            offset += (widths[before] + widths[x]) / 2 + COLUMN_GAP
        offsets.append(offset)
    blocks: list[list[float]] = []
    for x, offset in zip(layer, offsets, strict=True):
        weight = BEND_WEIGHT if isinstance(x, _Bend) or x in firm else 1.0
        blocks.append([wanted[x] - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            place, weight, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + place * weight) / (last[1] + weight)
            last[1] += weight
            last[2] += count
    starts = [block[0] for block in blocks for _ in range(int(block[2]))]
    return {x: start + offset for x, start, offset in zip(layer, starts, offsets, strict=True)}


def _heights(layers: list[list[Key]], boxes: Mapping[Key, tuple[float, float]]) -> tuple[list[float], float]:
    """The middle of each row, and the height of all."""
    middles, top = [], 0.0
    for layer in layers:
        height = max((boxes[x][1] for x in layer if x in boxes), default=0.0)
        middles.append(top + height / 2)
        top += height + ROW_GAP
    return middles, max(top - ROW_GAP, 0.0)


def _route(chain: tuple[Key, ...], places: Mapping[Key, tuple[float, float]],
           boxes: Mapping[Key, tuple[float, float]], tall: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """From the lower edge of the source to the upper edge of the target; straight where it crosses a row."""
    source, target = chain[0], chain[-1]
    points = [(places[source][0], places[source][1] + boxes[source][1] / 2)]
    for bend in chain[1:-1]:
        assert isinstance(bend, _Bend)
        x, y = places[bend]
        points += [(x, y - tall[bend.row] / 2), (x, y + tall[bend.row] / 2)]
    points.append((places[target][0], places[target][1] - boxes[target][1] / 2))
    return tuple(points)
