-- Gives tables other names, one after the other: whoever knows only an old name has lost them.
-- Parameters: none.
RENAME TABLE
{% for name in old %}
    {{ name }} TO {{ new[loop.index0] }}{{ "," if not loop.last }}
{% endfor %}
