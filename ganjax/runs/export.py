"""A player of a run as files that need no ganjax: its function, its parameters, a card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax import export as jax_export

from ganjax.game import Bound
from ganjax.host import one_line
from ganjax.runs.record import RunRecord

PLATFORMS = ("cpu", "cuda", "tpu")


def export(player: Bound, out: Path, record: RunRecord, told: Mapping[str, Any]) -> None:
    """Writes NAME.jax, NAME.safetensors and README.md into a new or empty folder.

    NAME.jax is the player's call without a key, (parameters, *inputs [B, *sees]) -> output, for any
    batch B, as `jax.export` serialises it (StableHLO); a team's output is [B, n, ...]. Parameters
    are {path in the tree: array}. The card says how to load both; told: what else it says of the
    run. Raises ValueError, one line, where the folder is not empty, without safetensors, and for a
    player that cannot be exported.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty: choose another --out")
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ValueError("export needs safetensors: pip install 'ganjax[export]'") from error
    flat = flattened(player.variables)
    program, serialised = exported(player, flat)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{player.name}.jax").write_bytes(serialised)
    save_file({name: np.asarray(leaf) for name, leaf in flat.items()},
              out / f"{player.name}.safetensors")  # fmt: skip
    (out / "README.md").write_text(card(player, program, record, told), "utf-8")


def flattened(variables: Any) -> dict[str, Array]:
    """{path: leaf} of a player's variables, "params/Dense_0/kernel" say."""
    leaves = jax.tree.leaves_with_path(variables)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def exported(player: Bound, flat: Mapping[str, Array]) -> tuple[jax_export.Exported, bytes]:
    """The player's call for any batch, and its bytes.

    Raises ValueError, one line, where JAX cannot export it.
    """
    structure = jax.tree.structure(player.variables)
    names = list(flat)

    def call(params: dict[str, Array], *xs: Array) -> Any:
        variables = jax.tree.unflatten(structure, [params[name] for name in names])
        return player.replace(variables=variables)(*xs)

    params = {n: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for n, leaf in flat.items()}
    (B,) = jax_export.symbolic_shape("B")
    inputs = [jax.ShapeDtypeStruct((B, *shape), jnp.float32) for shape in player.player.inputs]
    try:
        program = jax_export.export(jax.jit(call), platforms=PLATFORMS)(params, *inputs)
        return program, bytes(program.serialize())
    except Exception as error:  # of JAX, of Flax or of the net: any
        said = f"{type(error).__name__}: {one_line(error)[:200]}"
        raise ValueError(f"{player.name} cannot be exported: {said}") from error


def card(
    player: Bound, program: jax_export.Exported, record: RunRecord, told: Mapping[str, Any]
) -> str:
    """What README.md says: where the player comes from, its numbers, how it is loaded."""
    name, inputs = player.name, player.player.inputs
    shapes = ["B" + "".join(f", {n}" for n in shape) for shape in inputs]
    zeros = "".join(f", numpy.zeros([{shape.replace('B', '2')}], 'float32')" for shape in shapes)
    facts = {
        "experiment": record.experiment,
        "options": json.dumps(record.options, ensure_ascii=False),
        "versions": json.dumps(record.versions),
        **told,
    }
    lines = "\n".join(f"- {fact}: {value}" for fact, value in facts.items())
    outputs = ", ".join(
        f"{out.dtype}[{', '.join(map(str, out.shape))}]" for out in program.out_avals
    )
    return f"""# {name} of {record.experiment}

{lines}

Inputs: {"; ".join(f"float32 [{shape}]" for shape in shapes) or "none"}; output: {outputs}. B is any
batch. Platforms: {", ".join(PLATFORMS)}. It needs JAX and safetensors, and no ganjax:

```python
import jax, numpy
from safetensors.numpy import load_file

{name} = jax.export.deserialize(bytearray(open("{name}.jax", "rb").read()))
params = load_file("{name}.safetensors")
y = {name}.call(params{zeros})
```
"""
