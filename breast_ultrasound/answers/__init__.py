"""From probabilities to an answer: a mask, class probabilities, and how sure both are, as fitted on held-out images.
`network` and `inference`, its neighbours, predict the probabilities; `scoring` judges the answers.
"""
