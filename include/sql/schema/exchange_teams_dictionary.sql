-- Puts the new dictionary in the place of the old one. CREATE OR REPLACE would drop the old one in the same breath,
-- and a query that had just found it would fail (36).
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
EXCHANGE DICTIONARIES {{ dictionary }} AND web_pre_aggregated_teams_dict{{ lasting.on_cluster }}
