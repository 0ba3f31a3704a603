import pandas as pd

from breast_ultrasound.scoring.lesions import has_lesion, is_clean


def test_pixels_alone_make_a_lesion_image_and_a_clean_prediction() -> None:
    scores = pd.DataFrame(
        {
            "class": ["benign", "benign", "normal", "normal"],
            "tp": [1, 0, 0, 0],
            "fn": [0, 0, 3, 0],
            "fp": [0, 0, 0, 1],
            "tn": [9, 10, 7, 2_500_000],
            # In six digits one false pixel of 2.5 million is none.
            "predicted_share": [0.1, 0.0, 0.0, 0.0],
        }
    )
    assert has_lesion(scores).tolist() == [True, False, True, False]
    assert is_clean(scores).tolist() == [False, True, True, False]
