from pathlib import Path

import cv2
import numpy as np
import pytest
from run_folder import write_run


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "noise.png"
    assert cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that no model has any business with."""
    path = tmp_path / "private" / "secret.txt"
    path.parent.mkdir()
    path.write_bytes(b"secret " * 40_000)
    return path
