-- For PostgreSQL 12 and later, run once by a person who owns posthog_team:
--   psql --single-transaction --file notify_when_enabled.sql
-- Sends a notification whenever a team's pre-aggregation really changes from off to on, when that is committed.
-- Running it again changes nothing. To remove it: DROP FUNCTION web_analytics_notify_team_enabled CASCADE
DO $setup$
BEGIN
    CREATE OR REPLACE FUNCTION web_analytics_notify_team_enabled() RETURNS trigger LANGUAGE plpgsql AS $function$
    BEGIN
        IF NEW.web_analytics_pre_aggregated_tables_enabled IS TRUE
           AND (TG_OP = 'INSERT' OR OLD.web_analytics_pre_aggregated_tables_enabled IS NOT TRUE)
        THEN
            PERFORM pg_notify('web_analytics_team_enabled', NEW.id::text);
        END IF;
        RETURN NULL;
    END
    $function$;

    DROP TRIGGER IF EXISTS web_analytics_team_enabled ON posthog_team;
    CREATE TRIGGER web_analytics_team_enabled
        AFTER INSERT OR UPDATE OF web_analytics_pre_aggregated_tables_enabled ON posthog_team
        FOR EACH ROW EXECUTE FUNCTION web_analytics_notify_team_enabled();
END
$setup$;
