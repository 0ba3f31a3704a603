"""From probabilities to figures: predictions, post-processing, scores, kinds of error, intervals, two runs compared.
Nothing here needs Keras; what people look at is in `pages`.
"""
