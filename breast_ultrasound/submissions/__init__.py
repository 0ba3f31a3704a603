"""The masks and probabilities of any system, as files: which image each is of, how it is read, its scores, its row on
the board. `scoring` judges masks, whoever drew them; `answers` makes those of this project.
"""
