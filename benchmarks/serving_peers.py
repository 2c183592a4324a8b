"""What `benchmarks.serving` compares with: the same file behind FastAPI and LitServe, as in their guides.

PYTHON serving_peers.py fastapi|litserve FILE.tflite PORT WORKERS, in an environment with fastapi, uvicorn,
httptools, uvloop, litserve, python-multipart, ai-edge-litert and opencv-python-headless. Neither checks a
picture before it decodes it, as ours does; they resize by OpenCV's quickest way.
"""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

FILE, PORT, WORKERS = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


class Model:
    """The file, opened when the first picture comes: in the process that answers."""

    interpreter: Any = None

    def scores(self, data: bytes) -> list[float]:
        """Return the outputs of a picture."""
        if self.interpreter is None:
            from ai_edge_litert.interpreter import Interpreter

            cv2.setNumThreads(1)
            self.interpreter = Interpreter(model_path=FILE, num_threads=1)
            self.interpreter.allocate_tensors()
        given, made = self.interpreter.get_input_details()[0], self.interpreter.get_output_details()[0]
        _, height, width, channels = given["shape"]
        flags = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if pixels.shape[:2] != (height, width):
            pixels = cv2.resize(pixels, (int(width), int(height)))
        image = pixels.reshape(given["shape"]).astype(given["dtype"], copy=False)
        self.interpreter.set_tensor(given["index"], image)
        self.interpreter.invoke()
        return [float(value) for value in self.interpreter.get_tensor(made["index"])[0]]


MODEL = Model()


def with_fastapi() -> None:
    """One process a worker; each has its event loop and its interpreter."""
    import uvicorn

    uvicorn.run(
        "serving_peers:app",
        app_dir=str(Path(__file__).parent),
        port=PORT,
        workers=WORKERS,
        log_level="error",
        access_log=False,
    )


def with_litserve() -> None:
    """Its own server process before as many workers; batches are not asked for, as the file takes one."""
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=PORT, log_level="error", generate_client_file=False)


# The classes stand at the top, as processes that these libraries start import this file again.
if sys.argv[1] == "litserve":
    import litserve
    from fastapi import Request

    class Api(litserve.LitAPI):
        """The file behind LitServe."""

        def setup(self, device: str) -> None:
            """Nothing: the model opens itself."""

        def decode_request(self, request: Request) -> bytes:
            """Return the picture in a form."""
            return bytes(request["image"].file.read())

        def predict(self, x: bytes) -> list[float]:
            """Answer it."""
            return MODEL.scores(x)

        def encode_response(self, output: list[float]) -> dict[str, list[float]]:
            """Return what becomes JSON."""
            return {"scores": output}

elif __name__ != "__main__":
    from fastapi import FastAPI, Request

    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, list[float]]:
        """Answer a raw picture."""
        return {"scores": MODEL.scores(await request.body())}


if __name__ == "__main__":
    {"fastapi": with_fastapi, "litserve": with_litserve}[sys.argv[1]]()
