"""What an image may show."""

# What the class head tells apart.
CLASSES = ("benign", "malignant", "normal")
# A lesion of a data set that does not tell benign from malignant.
UNTOLD = "lesion"
# What an image may be filed as.
LABELS = (*CLASSES, UNTOLD)
