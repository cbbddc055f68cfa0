"""Pages quote code by name, and a page that no longer says what the code says is found out."""

import pytest

from tools.quotes import definition, paragraph, quoted, render

SOURCE = '''
LIMIT = 5

@decorated
class Shop:
    """Sells."""

    def open(self) -> bool:
        return True


def close() -> None: ...
'''


def test_definitions_are_found_by_name() -> None:
    assert definition(SOURCE, "LIMIT") == "LIMIT = 5"
    assert definition(SOURCE, "Shop").startswith("@decorated\nclass Shop:")
    assert definition(SOURCE, "Shop.open") == "def open(self) -> bool:\n    return True"
    with pytest.raises(KeyError):
        definition(SOURCE, "burn")


def test_other_files_are_quoted_by_paragraph() -> None:
    assert paragraph("a = 1\n\n  b {\n    c\n  }\n\nd", "b") == "b {\n  c\n}"


def test_a_quote_is_replaced_by_what_the_file_says() -> None:
    name = "tests/unit/tools/test_quotes.py"
    page = f"Text.\n\n<!-- quote: {name} test_other_files_are_quoted_by_paragraph -->\n\n```python\nold\n```\nMore.\n"
    wanted = quoted(name, "test_other_files_are_quoted_by_paragraph")
    assert wanted.startswith("def test_other_files_are_quoted_by_paragraph")
    assert render(page) == page.replace("old\n", wanted)
