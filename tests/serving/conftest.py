from pathlib import Path

import pytest
from linear import converted, write_companions


@pytest.fixture(scope="session")
def linear_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.tflite` of a linear model, with what it needs beside it; nobody changes it."""
    folder = tmp_path_factory.mktemp("linear")
    write_companions(folder)
    file = folder / "linear.tflite"
    file.write_bytes(converted("uint8"))
    return file
