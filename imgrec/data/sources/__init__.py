"""From `--data SPEC` to three splits of ids, labels and images; `load.py` knows the schemes."""
