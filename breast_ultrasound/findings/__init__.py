"""Findings of a frame: the lesions of its mask, their sizes, and the tables and COCO files that hold them.
Knows no network; what computes the masks is in `inference`, what scores them against the truth in `scoring`.
"""
