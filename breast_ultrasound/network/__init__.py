"""The networks in Keras: the attention U-Net, its encoders and layers, its files, prediction, and the hardware.
How they get their weights is in `training`; exported networks, which run without Keras, are in `inference`.
"""
