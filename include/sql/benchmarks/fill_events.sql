-- Fills events with sessions [first_session, last_session), about six events each, four in ten of them pageviews, some of
-- the sessions over midnight, of so many teams in the days before date_end. Team sizes follow a power law.
-- Everything is a hash of the row number: the same parameters give the same rows.
-- Parameters: first_session, last_session, teams, days, date_end.
INSERT INTO events
    (uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`, _timestamp, inserted_at,
     `mat_$host`, `mat_$device_type`, `mat_$pathname`, `mat_$browser`, `mat_$os`, `mat_$viewport_width`,
     `mat_$viewport_height`, `mat_$referring_domain`, mat_utm_source, mat_utm_medium, mat_utm_campaign,
     `mat_$geoip_country_code`, `mat_$geoip_city_name`, `mat_$geoip_subdivision_1_code`,
     `mat_$geoip_subdivision_1_name`, mat_gclid)
SELECT
    reinterpretAsUUID(sipHash128(s, i)),
    multiIf(i = 0 OR h_event %% 100 < 32, '$pageview', h_event %% 100 < 72, '$autocapture',
            h_event %% 100 < 85, '$pageleave', 'purchase'),
    '{}',
    fromUnixTimestamp64Milli(start_ms + i * step_ms + h_event %% step_ms AS event_ms, 'UTC') AS happened,
    team_id,
    distinct_id,
    reinterpretAsUUID(sipHash128(distinct_id)),
    session_id,
    toDateTime(happened) + 5,
    happened + 5,
    concat('www.team', toString(team_id), '.example'),
    ['Desktop', 'Desktop', 'Mobile', 'Tablet'][1 + h %% 4],
    concat(['/', '/pricing', '/docs/', '/blog/', '/product/', '/about'][1 + intDiv(h_event, 100) %% 6],
           toString(toUInt64(pow((intDiv(h_event, 1000) %% 1009) / 1009, 3) * 300))),
    ['Chrome', 'Firefox', 'Safari', 'Edge', 'Samsung Internet'][1 + intDiv(h, 8) %% 5],
    ['Windows', 'Mac OS X', 'Linux', 'iOS', 'Android'][1 + intDiv(h, 64) %% 5],
    ['1440', '1920', '1280', '390', '412', '820'][1 + intDiv(h, 512) %% 6],
    ['900', '1080', '720', '844', '915', '1180'][1 + intDiv(h, 512) %% 6],
    ['$direct', 'www.google.com', 'duckduckgo.com', 'news.example', 'social.example'][1 + intDiv(h, 4096) %% 5],
    ['', '', '', 'google', 'newsletter'][1 + intDiv(h, 32768) %% 5],
    ['', '', '', 'cpc', 'email'][1 + intDiv(h, 32768) %% 5],
    if(intDiv(h, 32768) %% 5 < 3, '', concat('campaign-', toString(intDiv(h, 262144) %% 40))),
    ['US', 'DE', 'GB', 'BR', 'IN', 'JP'][1 + intDiv(h, 1048576) %% 6],
    concat('City ', toString(intDiv(h, 1048576) %% 300)),
    toString(intDiv(h, 1048576) %% 60),
    concat('Region ', toString(intDiv(h, 1048576) %% 60)),
    if(intDiv(h, 32768) %% 5 = 3, lower(hex(h)), '')
FROM
(
    SELECT
        number AS s,
        sipHash64(number, 'session') AS h,
        toInt64(1 + floor(pow((sipHash64(number, 'team') %% 1000003) / 1000003, 2.2) * %(teams)s)) AS team_id,
        concat('user-', toString(toUInt64(pow((sipHash64(number, 'person') %% 1000003) / 1000003, 1.5) * 2000)), '@',
               toString(team_id)) AS distinct_id,
        toInt64(h %% %(days)s) AS day,
        1 + toUInt64(-5.3 * log(1 - (intDiv(h, 1000) %% 10007) / 10007)) AS size,
        toInt64(20000 + intDiv(h, 100000) %% 200000) AS step_ms,
        toUnixTimestamp(toDateTime(toDate(%(date_end)s), 'UTC')) * 1000 - 86400000 * (toInt64(%(days)s) - day)
            + toInt64(sipHash64(number, 'when') %% 86400000) AS start_ms,
        lower(hex(toUInt64(start_ms))) AS ms_hex,
        lower(hex(sipHash128(number, 'id'))) AS id_hex,
        concat(substring(ms_hex, 1, 8), '-', substring(ms_hex, 9, 4), '-7', substring(id_hex, 14, 3), '-a',
               substring(id_hex, 18, 3), '-', substring(id_hex, 21, 12)) AS session_id,
        arrayJoin(range(least(size, 60))) AS i,
        sipHash64(number, i, 'event') AS h_event
    FROM numbers(toUInt64(%(first_session)s), toUInt64(%(last_session)s - %(first_session)s))
)
SETTINGS max_insert_threads = 2, max_threads = 2
