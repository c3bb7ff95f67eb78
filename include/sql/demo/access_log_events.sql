-- Turns the page requests into pageviews of one team, shifted by whole days. A session is what one client address
-- and user agent requested without a pause of more than 30 minutes; its id is a UUIDv7 of its first request. An
-- event's id is its line number, as the same line may occur twice. The same log gives the same ids every time.
-- Parameters: team_id, shift_days, ingested_at.
INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`,
                    _timestamp, inserted_at)
WITH
    pages AS
    (
        SELECT
            *,
            received_at + toIntervalDay(%(shift_days)s) AS at,
            row_number() OVER visitor = 1 OR received_at - lagInFrame(received_at) OVER visitor > 1800 AS is_first
        FROM access_log_requests
        WHERE state = 'taken'
        WINDOW visitor AS (PARTITION BY client, user_agent ORDER BY received_at, line_number
                           ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ),
    visits AS
    (
        SELECT
            *,
            sum(is_first) OVER (PARTITION BY client, user_agent ORDER BY received_at, line_number
                                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS visit
        FROM pages
    ),
    described AS
    (
        SELECT
            *,
            min(at) OVER (PARTITION BY client, user_agent, visit) AS started_at,
            lower(hex(toUInt64(toUnixTimestamp(started_at)) * 1000)) AS ms_hex,
            lower(hex(sipHash128(client, user_agent, visit))) AS id_hex,
            sipHash128(client, user_agent) AS visitor_hash,
            multiIf(
                user_agent ILIKE '%%bot%%' OR user_agent ILIKE '%%spider%%' OR user_agent ILIKE '%%crawl%%', 'Bot',
                user_agent LIKE '%%Edg%%', 'Microsoft Edge',
                user_agent LIKE '%%OPR/%%' OR user_agent LIKE '%%Opera%%', 'Opera',
                user_agent LIKE '%%Firefox/%%', 'Firefox',
                user_agent LIKE '%%MSIE %%' OR user_agent LIKE '%%Trident/%%', 'Internet Explorer',
                user_agent LIKE '%%Chrome/%%' OR user_agent LIKE '%%CriOS/%%', 'Chrome',
                user_agent LIKE '%%Mobile%%Safari/%%', 'Mobile Safari',
                user_agent LIKE '%%Safari/%%', 'Safari',
                ''
            ) AS browser,
            multiIf(
                user_agent LIKE '%%Windows%%', 'Windows',
                user_agent LIKE '%%iPhone%%' OR user_agent LIKE '%%iPad%%', 'iOS',
                user_agent LIKE '%%Mac OS X%%', 'Mac OS X',
                user_agent LIKE '%%Android%%', 'Android',
                user_agent LIKE '%%CrOS%%', 'Chrome OS',
                user_agent LIKE '%%Linux%%', 'Linux',
                ''
            ) AS os,
            multiIf(
                user_agent LIKE '%%iPad%%' OR user_agent LIKE '%%Tablet%%', 'Tablet',
                user_agent LIKE '%%Mobi%%', 'Mobile',
                os = '', '',
                'Desktop'
            ) AS device_type
        FROM visits
    )
SELECT
    toUUID(concat('00000000-0000-8000-8000-', leftPad(toString(line_number), 12, '0'))),
    '$pageview',
    toJSONString(mapFilter((name, value) -> value != '', map(
        '$host', virtual_host,
        '$pathname', path,
        '$current_url', if(virtual_host = '', target, concat('http://', virtual_host, target)),
        '$referring_domain', if(domain(referrer) = '', '$direct', domain(referrer)),
        '$raw_user_agent', user_agent,
        '$browser', browser,
        '$os', os,
        '$device_type', device_type,
        'utm_source', decodeURLFormComponent(extractURLParameter(target, 'utm_source')),
        'utm_medium', decodeURLFormComponent(extractURLParameter(target, 'utm_medium')),
        'utm_campaign', decodeURLFormComponent(extractURLParameter(target, 'utm_campaign')),
        'utm_term', decodeURLFormComponent(extractURLParameter(target, 'utm_term')),
        'utm_content', decodeURLFormComponent(extractURLParameter(target, 'utm_content')),
        'gclid', extractURLParameter(target, 'gclid'),
        'gad_source', extractURLParameter(target, 'gad_source'),
        'fbclid', extractURLParameter(target, 'fbclid')
    ))),
    toDateTime64(at, 6, 'UTC'),
    %(team_id)s,
    lower(hex(visitor_hash)),
    reinterpretAsUUID(visitor_hash),
    concat(substring(ms_hex, 1, 8), '-', substring(ms_hex, 9, 4), '-7', substring(id_hex, 14, 3), '-a',
           substring(id_hex, 18, 3), '-', substring(id_hex, 21, 12)),
    toDateTime(%(ingested_at)s, 'UTC'),
    toDateTime64(%(ingested_at)s, 6, 'UTC')
FROM described
SETTINGS output_format_json_escape_forward_slashes = 0
