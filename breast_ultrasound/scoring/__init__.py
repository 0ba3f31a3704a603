"""Judging masks: scores, kinds of error, figures with intervals, and the comparison of two runs.
Nothing here needs Keras; how a mask is made of probabilities is in `answers`.
"""
