import sys

import pytest


@pytest.fixture(autouse=True, scope="session")
def _a_cache_of_its_own(tmp_path_factory):
    """No test reads or writes the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _float32():
    """A command that a test runs sets Keras's precision for the process: to no other test's harm."""
    _back_to_float32()
    yield
    _back_to_float32()


def _back_to_float32() -> None:
    # Most tests need no Keras, and its import takes seconds.
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")
