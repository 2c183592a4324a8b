"""What is wrong with a set of images, found before anything is trained on it.

`examine.py` looks at one file, `pool.py` does so in worker processes, `scan.py` at a whole folder;
`duplicates.py`, `classes.py` and `suspects.py` compare images and labels; `policy.py` acts on it.
"""
