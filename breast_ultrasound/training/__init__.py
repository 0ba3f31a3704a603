"""How a network gets its weights: batches, augmentation, losses, the training loop's parts, checkpoints, its record.
What it is, and what it runs on, is in `network`.
"""
