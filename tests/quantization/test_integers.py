"""Exact integer arithmetic, against Python's own integers and fractions."""

from fractions import Fraction

import numpy as np

from edgekd.quantization import integers
from edgekd.quantization.graph import PIXELS, Add, Conv, DepthwiseConv, FullyConnected, Graph, Grid, Input, Mean


def even(value: Fraction) -> int:
    return round(value)  # Python rounds fractions half to even


def clamp(value: int) -> int:
    return max(-128, min(127, value))


def fraction(x: float) -> Fraction:
    return Fraction(float(x))  # a float32 is a fraction


def build(size=5):
    rng = np.random.default_rng(4)
    grids = {n: Grid(scale=float(np.float32(s)), zero_point=z) for n, s, z in
             (("stem", 0.03, -128), ("deep", 0.05, 3), ("sum", 0.04, -60), ("pool", 0.3, -100), ("head", 0.05, 7))}  # fmt: skip
    nodes = (
        Input(name="image", size=size, grid=PIXELS),
        Conv(name="stem", inputs=("image",), padding=(1, 1, 1, 1), activation="relu6", grid=grids["stem"]),
        DepthwiseConv(name="deep", inputs=("stem",), padding=(1, 2, 1, 0), grid=grids["deep"]),
        Add(name="sum", inputs=("stem", "deep"), grid=grids["sum"]),
        Mean(name="pool", inputs=("sum",), grid=grids["pool"]),
        FullyConnected(name="head", inputs=("pool",), grid=grids["head"]),
    )
    shapes = {"stem": (4, 3, 3, 3), "deep": (3, 3, 4), "head": (2, 4)}
    arrays = {}
    for name, shape in shapes.items():
        outputs = shape[-1] if name == "deep" else shape[0]
        arrays[f"{name}.weight"] = rng.integers(-127, 128, shape).astype(np.int8)
        arrays[f"{name}.bias"] = rng.integers(-3000, 3000, outputs).astype(np.int32)
        arrays[f"{name}.weight_scale"] = rng.uniform(1e-4, 2e-3, outputs).astype(np.float32)
    return Graph(nodes, arrays)


def by_hand(graph, codes, node, place):
    """One output code of a node in rational arithmetic."""
    given = [(codes[n][0].astype(int), graph.grid(n)) for n in node.inputs]
    out = graph.grid(node.name)
    if isinstance(node, Add):
        real = sum((int(x[place]) - g.zero_point) * fraction(g.scale) for x, g in given) / fraction(out.scale)
    elif isinstance(node, Mean):
        (x, grid), channel = given[0], place[0]
        total = sum(int(v) - grid.zero_point for v in x[:, :, channel].ravel())
        real = total * fraction(grid.scale) / (fraction(out.scale) * x[:, :, 0].size)
    else:
        (x, grid), channel = given[0], place[-1]
        weight = graph.weight(node).astype(int)
        total = int(graph.bias(node)[channel])
        if isinstance(node, FullyConnected):
            total += sum(int(w) * (int(v) - grid.zero_point) for w, v in zip(weight[channel], x, strict=True))
        else:
            top, left, *_ = node.padding
            for i, j in np.ndindex(3, 3):
                row, column = place[0] + i - top, place[1] + j - left
                if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:
                    values = x[row, column] - grid.zero_point
                    taps = [weight[i, j, channel]] if isinstance(node, DepthwiseConv) else weight[channel, i, j]
                    values = [values[channel]] if isinstance(node, DepthwiseConv) else values
                    total += sum(int(w) * int(v) for w, v in zip(taps, values, strict=True))
        real = total * fraction(graph.weight_scale(node)[channel]) * fraction(grid.scale) / fraction(out.scale)
    code = clamp(even(real) + out.zero_point)
    if getattr(node, "activation", "none") == "relu6":
        code = min(max(code, out.zero_point), out.zero_point + even(Fraction(6) / fraction(out.scale)))
    return code


def test_every_code_of_every_node_is_the_rational_one():
    graph = build()
    pixels = np.random.default_rng(5).integers(0, 256, (1, 5, 5, 3), dtype=np.uint8)
    codes = integers.run(graph, pixels)
    assert np.array_equal(codes["image"].astype(int), pixels.astype(int) - 128)
    compared = 0
    for node in graph.nodes[1:]:
        found = codes[node.name][0]
        for place in np.ndindex(found.shape):
            assert found[place] == by_hand(graph, codes, node, place), (node.name, place)
            compared += 1
    assert compared == 3 * 100 + 4 + 2
    assert min(len(np.unique(codes[name])) for name in ("deep", "sum")) > 20  # not all clamped


def test_stride_and_dilation_are_those_of_torch():
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(6)
    weight = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    node = Conv(
        name="c", inputs=("image",), stride=(2, 3), dilation=(2, 1), padding=(2, 0, 1, 1),
        grid=Grid(scale=40.0, zero_point=0),
    )  # fmt: skip
    pool, head = Mean(name="p", inputs=("c",), grid=node.grid), FullyConnected(name="h", inputs=("p",), grid=node.grid)
    arrays = {"c.weight": weight, "c.bias": np.zeros(4, np.int32), "c.weight_scale": np.ones(4, np.float32) / 64}
    arrays |= {
        "h.weight": np.ones((2, 4), np.int8),
        "h.bias": np.zeros(2, np.int32),
        "h.weight_scale": np.ones(2, np.float32),
    }
    graph = Graph((Input(name="image", size=13, grid=PIXELS), node, pool, head), arrays)
    pixels = rng.integers(0, 256, (2, 13, 13, 3), dtype=np.uint8)
    x = functional.pad(torch.from_numpy(pixels).permute(0, 3, 1, 2).double(), (0, 1, 2, 1))
    sums = functional.conv2d(x, torch.from_numpy(weight).permute(0, 3, 1, 2).double(), None, (2, 3), 0, (2, 1))
    expected = torch.clamp(torch.round(sums / 64 / 40), -128, 127).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(integers.run(graph, pixels)["c"], expected)
