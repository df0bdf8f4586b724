"""The languages: a file of words each, all with the same keys and the same places, and each writes numbers its own way."""

from __future__ import annotations

import re

import pytest

from tp2lib.errors import RecordError
from tp2lib.evaluation.languages import LANGUAGES, Number, translations, words


def sentences(part, keys=()):
    """Every sentence of a file, by its keys."""
    for key, value in part.items():
        if isinstance(value, dict):
            yield from sentences(value, (*keys, key))
        else:
            yield from (((*keys, key, at), one) for at, one in enumerate([value] if isinstance(value, str) else value))


@pytest.mark.parametrize("code", LANGUAGES[1:])
def test_every_language_has_the_same_keys_with_the_same_places(code):
    english, own = dict(sentences(words("en"))), dict(sentences(words(code)))
    assert len(english) > 250 and english.keys() == own.keys()
    for keys, sentence in english.items():
        assert sorted(re.findall(r"{(\w+)", sentence)) == sorted(re.findall(r"{(\w+)", own[keys])), keys
        assert sentence.strip() and own[keys].strip(), keys


def test_french_lines_do_not_end_before_a_sign():
    for keys, sentence in sentences(words("fr")):
        assert not re.search(r"« | [»:;?!%]", sentence), keys


def test_a_word_is_found_by_its_keys_in_every_language():
    assert translations("verdicts", "reject") == {"en": "reject", "fr": "rejeter"}


def test_numbers_are_written_as_the_language_has_them():
    assert f"{Number(0.125, 'fr'):.1%}" == "12,5\xa0%" and f"{Number(0.125, 'en'):.1%}" == "12.5%"
    assert f"{Number(-0.001, 'en'):+.0%}" == "0%" and f"{Number(-0.01, 'fr'):+.2f}" == "-0,01" and f"{Number(0.2, 'en'):+.0%}" == "+20%"
    with pytest.raises(RecordError, match="Did you mean 'fr'|one of en, fr"):
        words("fra")
