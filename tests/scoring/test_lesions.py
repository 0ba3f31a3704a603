import pandas as pd

from breast_ultrasound.scoring.lesions import has_lesion, is_empty, is_missed


def test_pixels_alone_make_a_lesion_image_and_an_empty_prediction() -> None:
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
    assert is_empty(scores).tolist() == [False, True, True, False]


def test_a_lesion_is_missed_below_a_dice_of_a_tenth_and_a_normal_image_never_is() -> None:
    scores = pd.DataFrame({"tp": [1, 1, 0, 0], "fn": [9, 9, 0, 5], "dice": [0.099, 0.1, 0.0, 0.0]})
    assert is_missed(scores).tolist() == [True, False, False, True]
