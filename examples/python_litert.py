"""`python python_litert.py FILE.tflite IMAGE…`: an exported file, ai-edge-litert, NumPy and Pillow answer."""

import json
import sys
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

with zipfile.ZipFile(sys.argv[1]) as inside:  # the names and settings that the file brings along
    labels = inside.read("labels.txt").decode().splitlines()
    how = json.loads(inside.read("preprocess.json"))
size, fill = (how["size"][1], how["size"][0]), (how["fill"],) * 3
fits = {
    "stretch": lambda image: image.resize(size, Image.Resampling.BILINEAR),
    "crop": lambda image: ImageOps.fit(
        image, size, Image.Resampling.BILINEAR, (1 - how["crop_fraction"]) / 2
    ),
    "letterbox": lambda image: ImageOps.pad(image, size, Image.Resampling.BILINEAR, fill),
}
interpreter = Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
(taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
for path in sys.argv[2:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if how["colour"] == "grey" else "RGB").convert("RGB")
    image = image if image.size == size else fits[how["resize"]](image)
    interpreter.set_tensor(taken["index"], np.asarray(image)[np.newaxis])
    interpreter.invoke()
    scores = interpreter.get_tensor(given["index"])[0]
    top = [{"label": labels[k], "probability": float(scores[k])} for k in (-scores).argsort(kind="stable")]
    print(json.dumps({"path": path, "top": top}))
