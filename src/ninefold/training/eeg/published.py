"""What the published study reports, to stand beside a result."""

from __future__ import annotations

from typing import Final, NamedTuple

from ninefold.data.eeg.filters import BANDS

# Bands by their first letters; then accuracy and standard deviation between people, in percent: of arousal and valence
# with the rest subtracted, and of arousal and valence without.
_CCNN: Final = """
t    78.09  6.56 75.66  6.13 62.99  9.32 58.90  5.09
a    80.81  5.68 78.73  5.26 63.63  8.84 60.15  5.21
b    79.97  5.58 78.13  5.52 67.37  8.78 64.84  7.53
g    80.98  5.31 79.83  5.46 70.29  8.40 68.55  6.75
ta   85.30  5.76 83.60  5.90 64.13  9.10 60.73  5.22
tb   85.43  4.82 83.65  5.66 67.32  8.02 64.80  6.69
tg   85.99  5.01 84.51  5.61 69.53  7.68 67.95  6.47
ab   86.75  4.83 85.40  5.33 67.09  8.26 65.37  6.69
ag   87.55  4.82 86.77  4.62 69.34  7.96 68.50  6.41
bg   86.63  4.45 85.47  4.87 71.02  7.90 69.07  6.81
tab  88.44  4.83 87.34  5.06 67.12  7.79 65.19  6.43
tag  89.12  4.86 87.89  4.54 69.05  7.70 67.95  5.86
tbg  88.55  4.48 87.50  4.95 70.02  7.60 68.75  6.29
abg  89.74  4.17 88.80  4.48 70.28  7.89 68.82  6.54
tabg 90.24  4.08 89.45  4.42 69.55  7.46 68.52  6.03
"""
_MLP: Final = """
t    70.68 10.53 68.70 10.30 66.38  9.41 63.61  8.97
a    67.70  9.68 61.97  9.82 64.22 10.24 58.00  7.14
b    69.43  9.78 65.90 10.05 64.27 10.17 58.52  7.24
g    68.37 10.02 64.67  9.87 64.91  9.81 61.51  8.65
ta   80.88  8.28 80.06  7.99 67.60  9.04 65.17  8.49
tb   83.47  6.93 82.53  7.78 67.86  9.20 65.05  8.65
tg   80.99  7.55 80.17  7.62 67.69  9.07 65.57  8.83
ab   80.07  8.87 78.86  9.16 64.77  9.66 59.77  6.68
ag   80.21  7.97 78.07  8.78 65.46  9.48 62.32  8.32
bg   81.47  8.32 80.85  8.61 65.57  9.51 62.70  8.27
tab  86.79  6.39 85.32  6.85 68.02  8.80 66.43  7.60
tag  85.86  6.00 84.92  6.22 68.29  8.55 67.21  7.90
tbg  86.85  6.31 86.15  7.17 68.64  8.85 66.95  7.88
abg  86.13  6.33 84.47  7.61 66.62  8.84 64.14  7.96
tabg 88.68  5.04 87.82  6.15 69.51  8.31 68.11  6.85
"""
_COLUMNS: Final = (("arousal", "remove"), ("valence", "remove"), ("arousal", "keep"), ("valence", "keep"))


class Published(NamedTuple):
    """A published accuracy: the mean over the 32 people of DEAP.

    Args:
        model: "ccnn" or "mlp".
        bands: which were shown to it.
        target: valence or arousal.
        baseline: whether the rest was subtracted.
        accuracy: 0 to 1.
        sd: its standard deviation between people.
    """

    model: str
    bands: tuple[str, ...]
    target: str
    baseline: str
    accuracy: float
    sd: float


def published() -> tuple[Published, ...]:
    """Give all published accuracies: two models, 15 sets of bands, two targets, with and without the rest subtracted.

    Source: Y. Yang, Q. Wu, Y. Fu, X. Chen, "Continuous convolutional neural network with 3D input for EEG-based emotion
    recognition", ICONIP 2018. The figures are computed from the accuracies per person in the result sheets of its
    authors' repository, where the standard deviations are not; whether those of the MLP are the printed ones is
    not known.

    >>> [(one.model, round(one.accuracy, 4)) for one in published() if len(one.bands) == 4][:2]
    [('ccnn', 0.9024), ('ccnn', 0.8945)]
    """
    return tuple(one for model, lines in (("ccnn", _CCNN), ("mlp", _MLP)) for one in _read(model, lines))


def _read(model: str, lines: str) -> list[Published]:
    found = []
    for letters, *numbers in map(str.split, lines.strip().splitlines()):
        bands = tuple(band.name for band in BANDS if band.name[0] in letters)
        shares = [float(number) / 100 for number in numbers]
        for (target, baseline), accuracy, sd in zip(_COLUMNS, shares[::2], shares[1::2], strict=True):
            found.append(Published(model, bands, target, baseline, accuracy, sd))
    return found
