"""The stages of the pipeline, a module each, in the order of dvc.yaml. Their library is `breast_ultrasound`."""
