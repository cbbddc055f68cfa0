"""Cutting a stream of JSON into documents, whatever the chunks and the separators."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from keeper.chain.errors import Disconnected
from keeper.chain.transport import ipc
from keeper.chain.transport.ipc import JsonSplitter

DOCUMENTS = st.lists(
    st.dictionaries(st.text(max_size=4), st.text(max_size=8) | st.lists(st.integers(), max_size=3), max_size=3),
    min_size=1,
    max_size=5,
)


def chunks_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(places)]


@pytest.mark.parametrize("separator", ["", "\n", " ", "\r\n", "\n\n"])
@given(documents=DOCUMENTS, cuts=st.lists(st.integers(0, 10_000), max_size=6), ascii_only=st.booleans())
def test_documents_come_out_whole_and_in_order(
    separator: str, documents: list[object], cuts: list[int], ascii_only: bool
) -> None:
    stream = "".join(json.dumps(document, ensure_ascii=ascii_only) + separator for document in documents).encode()
    splitter = JsonSplitter()
    found = [json.loads(part) for chunk in chunks_of(stream, cuts) for part in splitter.feed(chunk)]
    assert found == documents


def test_a_message_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipc, "LARGEST_MESSAGE", 10)
    splitter = JsonSplitter()
    assert splitter.feed(b'{"aaaa') == []
    with pytest.raises(Disconnected):
        splitter.feed(b"aaaaaa")
