"""The hook of `make docs`."""

import pytest

from tools.site_links import DOCS, unlinked


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("see [base.py](../keeper/protocols/base.py): it", "see base.py: it"),
        ("the [README](../README.md#run-it-on-a-fork).", "the README."),
        ("[ADR 3](adr/003-npm-tools.md)", "[ADR 3](adr/003-npm-tools.md)"),
        ("[gone](../keeper/no_such_file.py)", "[gone](../keeper/no_such_file.py)"),
        ("[elsewhere](https://example.org/a)", "[elsewhere](https://example.org/a)"),
    ],
)
def test_only_links_to_existing_files_outside_of_docs_become_text(markdown: str, shown: str) -> None:
    assert unlinked(markdown, DOCS) == shown


def test_links_of_a_page_in_a_folder_start_there() -> None:
    assert unlinked("[rules](../../CONTRIBUTING.md), [faults](../faults.md)", DOCS / "adr") == (
        "rules, [faults](../faults.md)"
    )
