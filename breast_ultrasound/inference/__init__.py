"""An exported network at work, without Keras or TensorFlow: its file, the choice of one, and the act from a frame to
its lesions. Networks are exported in `exporting`, findings become tables in `findings`.
"""
