"""The training step in JAX: an LSTM as a `lax.scan` over time, compiled, with its gradient."""

import os
import sys

import step
from step import Shape, Step


def training_step(cell: str, shape: Shape) -> Step:
    import jax
    import jax.numpy as jnp
    from jax import lax

    steps, batch, inputs, hidden = shape
    keys = jax.random.split(jax.random.key(1), 4)
    bound = hidden**-0.5

    def uniform(key: jax.Array, *size: int) -> jax.Array:
        return jax.random.uniform(key, size, jnp.float32, -bound, bound)

    parameters = {
        "weight_ih": uniform(keys[0], inputs, 4 * hidden),
        "weight_hh": uniform(keys[1], hidden, 4 * hidden),
        "bias": uniform(keys[2], 4 * hidden),
    }
    x = jax.random.uniform(keys[3], (steps, batch, inputs), jnp.float32, -1, 1)

    def loss(parameters: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        def time_step(state, projected):
            h, c = state
            i, f, g, o = jnp.split(projected + h @ parameters["weight_hh"], 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((batch, hidden), jnp.float32)
        _, outputs = lax.scan(time_step, (zeros, zeros), x @ parameters["weight_ih"] + parameters["bias"])
        return jnp.mean(outputs**2)

    # Compiled beforehand: compiling is neither time nor memory of a step.
    compiled = jax.jit(jax.value_and_grad(loss)).lower(parameters, x).compile()

    def run() -> float:
        value, _ = jax.block_until_ready(compiled(parameters, x))
        return float(value)

    return run


def main() -> None:
    given = step.arguments(__doc__, ["lstm"], ["training_step", "memory"])
    # JAX sizes its pool of threads by the processors that it may use, when it is imported.
    processors = sorted(os.sched_getaffinity(0))
    if given.threads > len(processors):
        sys.exit(f"JAX has {len(processors)} processors for {given.threads} threads")
    os.sched_setaffinity(0, processors[: given.threads])
    os.environ["JAX_PLATFORMS"] = "cpu"
    if given.measurement == "training_step":
        step.print_times(given, ["lstm"], training_step)
    else:
        step.print_memory(given, training_step)


if __name__ == "__main__":
    main()
