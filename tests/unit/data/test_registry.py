import subprocess
import sys

import pytest

from ninefold import data
from ninefold.errors import InvalidInput, UnknownName


def test_an_unknown_source_is_refused_with_the_nearest_name():
    for ask in (data.card, data.open_source):
        with pytest.raises(UnknownName, match="no data source is called 'minst'; did you mean 'mnist'"):
            ask("minst")


def test_a_name_is_given_once():
    with pytest.raises(InvalidInput, match="a data source is already called 'digits'"):
        data.register(data.card("digits"), lambda _: None)


def test_the_cards_come_in_order_with_the_embedded_set_first():
    assert [card.name for card in data.cards()] == list(data.SOURCES)
    assert data.cards()[0] == data.card("digits")


def test_listing_the_cards_loads_no_heavy_package():
    script = "import sys, ninefold.data as d; d.cards(); print({'torch', 'numpy', 'sklearn', 'PIL'} & {*sys.modules})"
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "set()"


def test_every_public_name_is_there():
    assert all(getattr(data, name) is not None for name in data.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = data.nothing
