"""Cross-validation of grouped data: folds that keep together what belongs together, and scores that say how sure."""

from ninefold.training.crossval.protocols import DEFAULT, PROTOCOLS, Fold, Protocol, folds, protocol
from ninefold.training.crossval.runner import Outcome, Plan, cross_validate
from ninefold.training.crossval.scores import Figures, Pair, Row, figures, pairs, table
from ninefold.training.crossval.significance import interval, off_chance, signed_rank

__all__ = [
    "DEFAULT",
    "PROTOCOLS",
    "Figures",
    "Fold",
    "Outcome",
    "Pair",
    "Plan",
    "Protocol",
    "Row",
    "cross_validate",
    "figures",
    "folds",
    "interval",
    "off_chance",
    "pairs",
    "protocol",
    "signed_rank",
    "table",
]
