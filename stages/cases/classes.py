"""What an image may show."""

CLASSES = ("benign", "malignant", "normal")
