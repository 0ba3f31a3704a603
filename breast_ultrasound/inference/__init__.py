"""An exported network at work: its file, what it says of itself, and which one is taken. Needs neither Keras nor
TensorFlow.
"""
