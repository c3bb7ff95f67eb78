-- For PostgreSQL: asks for the notifications that notify_when_enabled.sql makes it send.
LISTEN web_analytics_team_enabled
