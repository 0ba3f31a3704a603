"""Judging masks: scores, kinds of error, figures with intervals, and the comparison of two runs.
Nothing here depends on a network or on post-processing; how a mask is made, and fitted, is in `answers`.
"""
