"""The form of a DAG, made of the definition of its conf (conf.py)."""

from __future__ import annotations

from airflow.sdk import Param

from web_analytics.conf import REQUIRED, Conf


def params_of(conf: type[Conf]) -> dict[str, Param]:
    """The params of the DAG whose runs have this conf, in the order of its fields."""
    params = {}
    for each in conf.params():
        default = {} if each.default is REQUIRED else {"default": each.default}
        section = {} if each.section is None else {"section": each.section}
        choices = each.schema.get("items", {}).get("enum")
        # With examples, the form of a list is a selection of them instead of lines of text.
        examples = {"examples": list(choices)} if choices else {}
        params[each.name] = Param(
            **default,
            title=each.name.replace("_", " ").capitalize(),
            description=each.meaning,
            **each.schema,
            **examples,
            **section,
        )
    return params
