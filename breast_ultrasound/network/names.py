"""Names of the input and the outputs of an exported network, apart from Keras, which running one does without."""

GREY = "grey"
PROBABILITY, CLASS_PROBABILITY, FEATURE_DISTANCE = "probability", "class_probability", "feature_distance"
