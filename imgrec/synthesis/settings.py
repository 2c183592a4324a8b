"""How a pair is trained; read by `--help`, so without Keras."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Settings of `gan.train`.

    width: channels of the discriminator's first map, and twice those of the generator's last.
    noise: length of the noise that an image is made from.
    ema: momentum m of the averaged generator, w̄ ← m w̄ + (1 − m) w after every step.
    sampling: how often each class is shown, see `data.sampling`.
    flip: mirror the true images with probability ½.
    """

    steps: int = 2500
    batch_size: int = 32
    seed: int = 0
    generator_rate: float = 5e-4
    discriminator_rate: float = 1e-3
    width: int = 32
    noise: int = 64
    ema: float = 0.995
    sampling: str = "sqrt"
    flip: bool = True
