"""Training of networks. PyTorch is imported here only (extra ``[train]``).

architecture.py  the bias-free network for thick slices
patches.py       training patches, degraded on the fly
loop.py          the training loop: schedule, checkpoint, resume, validation
"""
