from tests.call.siprec.dialect_table import chapter
from tests.corpora import corpus
from tests.lab.interop import read_table


def test_the_table_is_what_the_samples_come_to() -> None:
    corpus("siprec")
    assert read_table().chapters == chapter(), (
        "run `python -m tests.call.siprec.dialect_table`"
    )
