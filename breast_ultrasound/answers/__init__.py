"""From probabilities to an answer: the steps to a mask, how sure it is, and how both are fitted on validation images.
How good an answer is, is judged in `scoring`.
"""
