"""A signature is of one content and one key; what differs is found."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from imgrec import bundle, files, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.tasks.multiclass import Multiclass
from pipelines import sign


def key_pair(folder: Path, name: str) -> tuple[str, str]:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    texts = {
        f"{name}.pem": private.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        f"{name}.public.pem": private.public_key().public_bytes(
            pem, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    }
    for file, text in texts.items():
        (folder / file).write_bytes(text)
    return str(folder / f"{name}.pem"), str(folder / f"{name}.public.pem")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    out = tmp_path / "run"
    folder = bundle.begin(out)
    files.write_json(folder / "run.json", {"format": bundle.FORMAT})
    files.write_text(folder / "preprocess.json", Preprocess(size=(8, 8)).to_json())
    tasks.write(folder, Multiclass(("cat", "dog")))
    files.write_text(folder / "model.keras", "weights")
    return bundle.finish(folder, out)


def test_a_run_is_signed_and_verified(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    private, public = key_pair(tmp_path, "mine")
    assert sign.main(["--run", str(run), "--key", private]) == 0
    assert capsys.readouterr().out == f"done: {tmp_path / 'run.sig'}\n"
    assert sign.main(["--run", str(run), "--verify", public]) == 0
    bundle.read(run)  # the signature lies beside it and changes nothing in it


def test_a_change_with_a_manifest_that_fits_is_found(run: Path, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "mine")
    sign.main(["--run", str(run), "--key", private])
    (run / "labels.txt").write_text("dog\ncat\n")
    with pytest.raises(InputError, match=r"labels\.txt is not the file the manifest lists"):
        sign.main(["--run", str(run), "--verify", public])
    bundle.write_manifest(run)
    with pytest.raises(InputError, match=r"is not what .*run\.sig was made of.*labels\.txt"):
        sign.main(["--run", str(run), "--verify", public])


def test_another_key_and_a_damaged_signature_are_found(run: Path, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "mine")
    _, other = key_pair(tmp_path, "other")
    sign.main(["--run", str(run), "--key", private])
    with pytest.raises(InputError, match="is not what"):
        sign.main(["--run", str(run), "--verify", other])
    signature = tmp_path / "run.sig"
    whole = signature.read_bytes()
    for data in (b"", b"{}", whole[:-20], whole.replace(b"A", b"B", 1)):
        signature.write_bytes(data)
        with pytest.raises(InputError, match="is not what"):
            sign.main(["--run", str(run), "--verify", public])


def test_a_lone_file_is_signed(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "mine")
    file = tmp_path / "model.tflite"
    file.write_bytes(b"weights")
    sign.main(["--run", str(file), "--key", private])
    assert sign.main(["--run", str(file), "--verify", public]) == 0
    file.write_bytes(b"weightz")
    with pytest.raises(InputError, match=r"is not what .*model\.tflite\.sig was made of"):
        sign.main(["--run", str(file), "--verify", public])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected --key PRIVATE.pem to sign, or --verify"),
        (["--key", "none.pem"], "--key none.pem: no such file"),
        (["--verify", "none.pem"], "--verify none.pem: no such file"),
    ],
)
def test_what_is_missing_is_named(run: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sign.main(["--run", str(run), *words])


def test_a_signature_lies_beside_what_it_signs(run: Path, tmp_path: Path) -> None:
    private, _ = key_pair(tmp_path, "mine")
    with pytest.raises(InputError, match="lies in what it signs"):
        sign.main(["--run", str(run), "--key", private, "--signature", str(run / "run.sig")])
