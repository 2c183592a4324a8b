# The server, without TensorFlow: it answers with a .tflite, or a run folder or store whose float32.tflite agrees.
#   docker build -t imgrec .
#   docker run --read-only --tmpfs /tmp -p 8080:8080 -v "$PWD/saved_models/sample:/models/run:ro" imgrec
# Words behind the image's name are further flags, such as --run /models/run/exports/qat_int8.tflite.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 HOME=/tmp
WORKDIR /opt/imgrec
COPY constraints.txt ./
# What the server imports. For Keras models, which need TensorFlow (2 GB), install ".[serve]" below instead.
RUN pip install --constraint constraints.txt \
    ai-edge-litert numpy opencv-python-headless pillow Jinja2 PyYAML tyro threadpoolctl \
    starlette uvicorn httptools uvloop python-multipart prometheus-client
COPY setup.py setup.cfg README.md LICENSE ./
COPY imgrec imgrec
COPY pipelines pipelines
RUN pip install --no-deps . && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin imgrec

USER 10001
WORKDIR /tmp
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/v2/health/ready', timeout=4)"]
ENTRYPOINT ["python", "-m", "pipelines.serve", "--host", "0.0.0.0", "--port", "8080"]
CMD ["--run", "/models/run"]
