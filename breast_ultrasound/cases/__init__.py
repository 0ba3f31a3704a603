"""What a case is, on disk and as arrays: the layout of data/raw, decoding, the letterbox, the prepared arrays,
the folds. Where cases come from is in `sources`, what tells that two show the same in `repeats`.
"""
