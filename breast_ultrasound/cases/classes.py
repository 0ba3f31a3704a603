"""The classes of images."""

# The classes of the class head.
CLASSES = ("benign", "malignant", "normal")
# A lesion whose type is not recorded.
UNSPECIFIED = "lesion"
# The classes that an image may be filed under.
LABELS = (*CLASSES, UNSPECIFIED)
