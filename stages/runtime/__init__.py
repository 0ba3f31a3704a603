"""Networks that need no Keras: the exported file, what it says of itself, and the runtime that computes it.

`conversion` makes such files and is the only module here that loads Keras.
"""
