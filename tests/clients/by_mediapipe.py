"""What MediaPipe makes of a file: run in an environment that has it, `by_mediapipe.py FILE.tflite FOLDER`.

Prints one JSON object: `metadata`, the file's own as MediaPipe's generated classes read it, and `answers`, of
each `.png` of the folder by name, (label, score) of every class, the highest first.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.metadata import schema_py_generated as schema
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.core.base_options import BaseOptions
from PIL import Image


def plain(value: Any) -> Any:
    """Return a table of a flatbuffer as dictionaries, lists, text and numbers, without what is not set."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "__len__"):
        return [plain(part) for part in value]
    if hasattr(value, "item"):  # a NumPy number
        return value.item()
    return {name: plain(part) for name, part in vars(value).items() if part is not None}


def metadata_of(content: bytes) -> Any:
    """Return the TFLITE_METADATA buffer of a file."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    (place,) = (entry.buffer for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    buffer = bytes(model.buffers[place].data)
    assert metadata_schema.ModelMetadata.ModelMetadataBufferHasIdentifier(buffer, 0)
    return plain(
        metadata_schema.ModelMetadataT.InitFromObj(metadata_schema.ModelMetadata.GetRootAs(buffer, 0))
    )


def answers(file: Path, folder: Path) -> dict[str, list[tuple[str, float]]]:
    """Let the image classifier answer for each picture, at whatever size it is."""
    options = vision.ImageClassifierOptions(BaseOptions(model_asset_path=str(file)), max_results=-1)
    with vision.ImageClassifier.create_from_options(options) as classifier:
        found = {}
        for path in sorted(folder.glob("*.png")):
            # `Image.create_from_file` gives a grey file one channel, and the classifier refuses that.
            pixels = np.array(Image.open(path).convert("RGB"))
            result = classifier.classify(mediapipe.Image(mediapipe.ImageFormat.SRGB, pixels))
            (head,) = result.classifications
            found[path.name] = [(category.category_name, category.score) for category in head.categories]
    return found


if __name__ == "__main__":
    model_file, pictures = map(Path, sys.argv[1:])
    said = {"metadata": metadata_of(model_file.read_bytes()), "answers": answers(model_file, pictures)}
    print(json.dumps(said))
