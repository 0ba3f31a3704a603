"""How a network gets its weights: batches, augmentation, losses, optimizer, the loop, checkpoints and the history
of a training. The networks themselves, their files and the hardware are in `network`.
"""
