"""Random damage, by a seed: bits, bytes, pieces."""

import random


def mutant(data: bytes, rng: random.Random, near: tuple[int, ...] = ()) -> bytes:
    """Return `data` with a piece missing, overwritten or a few bytes changed, mostly at one of `near`."""
    changed, kind = bytearray(data), rng.random()
    if kind < 0.1:
        return bytes(changed[: rng.randrange(len(changed))])
    if kind < 0.2:
        at = rng.choice(near) if near else rng.randrange(len(changed))
        changed[at : at + rng.randrange(1, 64)] = rng.randbytes(rng.randrange(1, 64))
        return bytes(changed)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.choice(near) if near and rng.random() < 0.9 else rng.randrange(len(changed))
        changed[at] ^= 1 << rng.randrange(8) if rng.random() < 0.5 else rng.randrange(1, 256)
    return bytes(changed)


def structure(data: bytes, run: int = 48) -> tuple[int, ...]:
    """Return the places of bytes that are not within a long piece without any zero: what is no weights."""
    places: list[int] = []
    start = 0
    for at in range(len(data) + 1):
        if at == len(data) or data[at] == 0:
            if at - start < run:
                places += range(start, min(at + 1, len(data)))
            start = at + 1
    return tuple(places)
