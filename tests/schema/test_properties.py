"""How each property is read, in every form that JSON allows: from the JSON, and from a column as PostHog fills it."""

from __future__ import annotations

import json

import pytest

from demo import model
from web_analytics import schema

# A materialized column of PostHog: the raw JSON of the property without one quote at either end.
COLUMN = "replaceRegexpAll(JSONExtractRaw(properties, '{name}'), '^\"|\"$', '')"

# JSON → the text, the whole number, whether it is a click id
FORMS: dict[str, tuple[str, int, bool]] = {
    "null": ("", 0, False),
    '""': ("", 0, False),
    '"null"': ("", 0, False),
    "true": ("true", 0, False),
    "false": ("false", 0, False),
    '"true"': ("true", 0, False),
    '"false"': ("false", 0, False),
    "[]": ("[]", 0, False),
    '["a",1]': ('["a",1]', 0, False),
    "{}": ("{}", 0, False),
    '{"a":{"b":[1]}}': ('{"a":{"b":[1]}}', 0, False),
    "0": ("0", 0, True),
    "1536": ("1536", 1536, True),
    "1536.8": ("1536.8", 1536, True),
    "-1.9": ("-1.9", -1, True),
    "1.0": ("1", 1, True),
    "1e3": ("1000", 1000, True),
    "1.5E2": ("150", 150, True),
    '"1536"': ("1536", 1536, True),
    '"1536.8"': ("1536.8", 1536, True),
    '"1e3"': ("1e3", 1000, True),
    '"007"': ("007", 7, True),
    '"+7"': ("+7", 7, True),
    '"-7"': ("-7", -7, True),
    '".5"': (".5", 0, True),
    '"12px"': ("12px", 0, True),
    '" 7"': (" 7", 0, True),
    '"0x10"': ("0x10", 0, True),
    '"nan"': ("nan", 0, True),
    '"inf"': ("inf", 0, True),
    "9223372036854775807": ("9223372036854775807", 2**63 - 1, True),
    "9223372036854775808": ("9223372036854775808", 0, True),
    '"1e30"': ("1e30", 0, True),
    '"Cj0KCQ-_"': ("Cj0KCQ-_", 0, True),
    '"\\u00e9"': ("é", 0, True),
    '"\\ud83d\\ude00"': ("😀", 0, True),
    '"a\\/b"': ("a/b", 0, True),
    '" x "': (" x ", 0, True),
}
# Text with characters that JSON escapes: a column keeps the escapes, and the tables hold what it has.
ESCAPED = {'"a\\"b"': ('a"b', 'a\\"b'), '"a\\\\b"': ("a\\b", "a\\\\b"), '"a\\nb"': ("a\nb", "a\\nb")}


def rows(clickhouse, columns: str, documents: list[str]) -> dict[str, tuple]:
    clickhouse.client.execute("TRUNCATE TABLE events")
    clickhouse.client.execute(
        "INSERT INTO events (uuid, properties) VALUES",
        [(f"00000000-0000-0000-0000-{number:012}", document) for number, document in enumerate(documents)],
    )
    found = clickhouse.client.execute(f"SELECT {columns} FROM web_analytics_source_events ORDER BY uuid")
    return dict(zip(documents, found, strict=True))


@pytest.fixture(params=["JSON", "columns", "Nullable columns"])
def read_from(request, web_analytics_schema, settings):
    """The source, its properties only in JSON or each in a column too."""
    clickhouse = web_analytics_schema
    for column in ("mat_$host", "mat_$pathname", "mat_$browser", "mat_utm_source"):
        clickhouse.client.execute(f"ALTER TABLE events DROP COLUMN `{column}`")
    if request.param != "JSON":
        kind = "Nullable(String)" if request.param.startswith("Nullable") else "String"
        names = {*model.TEXTS.values(), *model.WHOLE_NUMBERS.values(), *model.CLICK_IDS.values()}
        clickhouse.client.execute(
            "ALTER TABLE events "
            + ", ".join(
                f"ADD COLUMN `mat_{name}` {kind} MATERIALIZED {COLUMN.format(name=name)}"
                for name in sorted({*names, "gad_source", "$pathname", "$current_url"})
            )
        )
    schema.create_source_view(clickhouse, settings)
    return clickhouse, request.param


def test_every_property_in_every_form(read_from):
    clickhouse, _ = read_from
    texts, numbers, ids = list(model.TEXTS), list(model.WHOLE_NUMBERS), list(model.CLICK_IDS)
    names = {**model.TEXTS, **model.WHOLE_NUMBERS, **model.CLICK_IDS}
    documents = {
        form: "{" + ",".join(f'"{name}":{form}' for name in (*names.values(), "gad_source")) + "}"
        for form in FORMS
    }
    columns = ", ".join([*texts, *numbers, *ids, "has_gad_source_paid_search"])
    found = rows(clickhouse, columns, list(documents.values()))
    expected = {
        document: (
            *[FORMS[form][0]] * len(texts),
            *[FORMS[form][1]] * len(numbers),
            *[FORMS[form][2]] * len(ids),
            FORMS[form][0] == "1",
        )
        for form, document in documents.items()
    }
    assert {key: value for key, value in found.items() if value != expected[key]} == {}
    # What the model of the tests and of the demonstration makes of it.
    for form, (text, number, is_id) in FORMS.items():
        value = model.parse(f'{{"p":{form}}}')["p"]
        assert (model.text_of(value), model.whole_number_of(value), model.is_click_id(value)) == (
            text, number, is_id,
        ), form  # fmt: skip


def test_whole_numbers_are_those_of_the_engine(web_analytics_schema):
    """JSONExtractInt is how PostHog reads them. Of the text "nan" it makes the smallest number there is; here it is none."""
    found = web_analytics_schema.client.execute(
        "SELECT form, JSONExtractInt(concat('{\"p\":', form, '}'), 'p') "
        "FROM (SELECT arrayJoin(%(forms)s) AS form)",
        {"forms": [form for form in FORMS if form != '"nan"']},
    )
    assert dict(found) == {form: number for form, (_, number, _) in FORMS.items() if form != '"nan"'}


def test_paid_search_paths_and_what_is_absent(read_from):
    clickhouse, _ = read_from
    documents = {
        '{"gad_source":"1"}': (True, ""),
        '{"gad_source":1}': (True, ""),
        '{"gad_source":1.0}': (True, ""),
        '{"gad_source":"2"}': (False, ""),
        '{"gad_source":true}': (False, ""),
        "{}": (False, ""),
        "[]": (False, ""),
        "": (False, ""),
        "no JSON": (False, ""),
        '{"$pathname":"/a","$current_url":"https://example.com/b"}': (False, "/a"),
        '{"$pathname":"","$current_url":"https://example.com/b?c=/d#e"}': (False, "/b"),
        '{"$pathname":null,"$current_url":"https://example.com/b"}': (False, "/b"),
        '{"$current_url":"https://example.com"}': (False, ""),
        '{"$current_url":"no url"}': (False, ""),
        '{"$pathname":"/a","$pathname":"/b"}': (False, "/a"),
        '{"$host":{"$pathname":"/nested"}}': (False, ""),
    }
    found = rows(clickhouse, "has_gad_source_paid_search, pathname", list(documents))
    assert {key: value for key, value in found.items() if value != documents[key]} == {}


def test_a_column_keeps_the_escapes_of_its_json(read_from):
    clickhouse, where = read_from
    documents = {f'{{"$pathname":{form}}}': both for form, both in ESCAPED.items()}
    found = rows(clickhouse, "pathname", list(documents))
    place = 0 if where == "JSON" else 1
    assert found == {document: (both[place],) for document, both in documents.items()}
    assert all(json.loads(document)["$pathname"] == both[0] for document, both in documents.items())
