"""What is to be made, and how the pair is trained; read by `--help`, so without Keras."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgrec.config.settings import Images, Policy


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


@dataclass(frozen=True)
class SynthesisSettings(Images):
    """What to learn from, and what to make."""

    classes: str = ""
    """Names of the classes to make images of, joined by commas."""
    count: int = 500
    """Images to make of each of them."""
    out: Path = Path("saved_models/synthesis")
    """Folder of the images; replaced only when it is one of an earlier synthesis, or empty."""
    steps: int = Settings.steps
    """Steps of training, of either network; 2,500 take 5 minutes of one core at 28 pixels."""
    batch_size: int = Settings.batch_size
    """True images, and made ones, a step."""
    learning_rate: float = Settings.discriminator_rate
    """Rate of the discriminator (Adam); the generator's is half of it."""
    sampling: Literal["natural", "sqrt", "balanced"] = "sqrt"
    """How often a class is shown while learning: by its size, the root of it, or all alike."""
    flip: bool = True
    """Mirror true images with probability ½; then made ones look either way as well."""
    image_size: int = 0
    """Side of the images in pixels; 0 takes the data's own size, at most 64."""
    seed: int = 0
    """Seed of the splits, as for train, and of learning and making."""
    long_tail: float = 0.0
    """For experiments, as for train."""
    policy: Policy = "strict"
    """What to do about broken files, as for train."""

    @property
    def pair(self) -> Settings:
        """The same as settings of the pair."""
        return Settings(
            steps=self.steps,
            batch_size=self.batch_size,
            seed=self.seed,
            generator_rate=self.learning_rate / 2,
            discriminator_rate=self.learning_rate,
            sampling=self.sampling,
            flip=self.flip,
        )
