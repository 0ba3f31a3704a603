"""Cases on disk and as arrays: data/raw, ids, pictures and their decoding, pairing of masks, letterbox, the prepared
arrays, the folds. Where cases come from is in `sources`, which of them are near-duplicates in `auditing`.
"""
