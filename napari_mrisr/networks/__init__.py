"""Networks at run time: the ``.onnx`` file and its evaluation. Training is in ``training``.

file.py       one file: checks before anything runs, metadata, checksum
tiles.py      evaluation on a fixed grid of tiles, so that any region equals the whole run
gated.py      the same with rectifiers switched by another image, for complex scans
effective.py  weights of the input in an output: a backward pass through the graph
"""
