"""A signature beside a run folder or a file: who made it, where the manifest says only that it is whole."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgrec import bundle
from imgrec.errors import InputError

_DIGESTS = re.compile(r": Expected 'Digest\(.*?\)', Actual 'Digest\(.*?\)'")
"""What the library says of a file whose hash differs: two rows of bytes."""
EXTRA = 'pip install "imgrec[signing]"'


@dataclass(frozen=True)
class SigningSettings:
    """What to sign, or what to verify."""

    run: Path
    """A finished run folder, a folder of exported files, or one exported file."""
    key: Path | None = None
    """Sign with this private key, a PEM file of an elliptic curve (P-256, P-384, P-521), no password."""
    verify: Path | None = None
    """Verify with this public key, a PEM file."""
    signature: Path | None = None
    """The file of the signature, by default RUN.sig, beside the run."""


def sign_or_verify(asked: SigningSettings) -> int:
    """Write a signature, or hold one against what it was made of; return the exit code, 0.

    A run folder has to agree with its manifest in either case. No network is used.

    Raises:
        InputError: nothing to do, or both at once; a path that is missing; no such key; the extra is not
            installed; or what lies there is not what was signed with that key.
    """
    if (asked.key is None) == (asked.verify is None):
        raise InputError("expected --key PRIVATE.pem to sign, or --verify PUBLIC.pem to verify")
    run = Path(asked.run)
    if not run.exists():
        raise InputError(f"--run {run}: no such file or folder")
    signature = asked.signature or run.with_name(f"{run.name}.sig")
    if run.is_dir() and run.resolve() in signature.resolve().parents:
        raise InputError(f"--signature {signature}: lies in what it signs; name a file beside {run}")
    if run.is_dir() and (run / bundle.MANIFEST).exists():
        bundle.verify(run, frozenset())
    if asked.key is not None:
        _sign(run, _existing(asked.key, "--key"), signature)
        print(f"done: {signature}")
    else:
        assert asked.verify is not None
        _verify(run, _existing(asked.verify, "--verify"), _existing(signature, "--signature"))
        print(f"signed by the owner of {asked.verify}: {run}")
    return 0


def _sign(run: Path, key: Path, signature: Path) -> None:
    hashing, signing, _ = _library(run)
    try:
        config = signing.Config().set_hashing_config(hashing)
        config.use_elliptic_key_signer(private_key=key).sign(run, signature)
    except (ValueError, TypeError) as error:  # TypeError: the key has a password
        raise InputError(f"--run {run}: cannot be signed with {key}: {_line(error)}") from None


def _verify(run: Path, key: Path, signature: Path) -> None:
    hashing, _, verifying = _library(run)
    try:
        config = verifying.Config().set_hashing_config(hashing)
        config.use_elliptic_key_verifier(public_key=key).verify(run, signature)
    except Exception as error:  # a damaged signature fails in many ways of the libraries below
        raise InputError(
            f"{run}: is not what {signature} was made of with the key of {key}: {_line(error)}"
        ) from None


def _library(run: Path) -> tuple[Any, Any, Any]:
    """Return how files are hashed, and the library's two sides. Raises InputError without the library."""
    try:
        from model_signing import hashing, signing, verifying
    except ImportError as error:
        raise InputError(f"signatures need the extra `signing` ({error}): {EXTRA}") from None
    # Every file counts: by itself it would leave out those of Git.
    return hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False), signing, verifying


def _existing(path: Path, flag: str) -> Path:
    if not path.is_file():
        raise InputError(f"{flag} {path}: no such file")
    return path


def _line(error: Exception) -> str:
    text = _DIGESTS.sub("", " ".join(str(error).split()))
    return text[:300] or type(error).__name__
