"""What a network is, on disk and at work: the attention U-Net, its files, the hardware, and prediction.
How its weights come about is in `training`.
"""
