"""From trained Keras networks to one file that other runtimes compute.
What such a file does afterwards is in `inference`.
"""
