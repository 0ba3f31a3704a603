"""From trained Keras networks to one file that other runtimes compute.
What runs such a file, without Keras, is in `inference`.
"""
