"""Training of networks. PyTorch is imported here only (extra ``[train]``), but not by ``run``.

architecture.py  the bias-free network for thick slices
patches.py       training patches, degraded on the fly
blocks.py        patches for isotropic factors and for a denoiser
unrolled.py      blocks with data consistency between them
optimizer.py     Muon and Adam
loop.py          one step: schedule, optimizer, checkpoint, resume, gain
export.py        the network as an ``.onnx`` file, and back
volumes.py       volumes read to train and to validate on
run.py           one training: stop, resume, validation curve; no PyTorch
"""
