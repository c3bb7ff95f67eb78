-- Fills events with %(sessions)s made-up sessions, about six events each, of 24 teams, in the %(days)s days
-- before %(date_end)s. Everything is a hash of the seed and a row number, so the same parameters give the same
-- rows. Team sizes follow a power law (the largest has some 70 times the sessions of the smallest).
-- A few sessions have no valid id, last longer than 24 h, or are born after their first events.
-- Parameters: seed, sessions, days, date_end (the first day without events).
INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`,
                    _timestamp, inserted_at)
SELECT
    uuid, event, properties, timestamp, team_id, distinct_id, person_id, session_id,
    toDateTime(arrived, 'UTC'),
    -- PostHog's older rows have no inserted_at
    if(h_event %% 10 = 9, NULL, arrived)
FROM
(
    WITH
        toUnixTimestamp(toDateTime(toDate(%(date_end)s), 'UTC')) * 1000 AS end_ms,
        sessions AS
        (
            SELECT
                number AS s,
                sipHash64(%(seed)s, number, 'when') AS h_when,
                sipHash64(%(seed)s, number, 'who') AS h_who,
                sipHash64(%(seed)s, number, 'kind') AS h_kind,
                sipHash64(%(seed)s, number, 'page') AS h_page,
                toUInt64(least(24, floor(pow(1 - 0.8 * (h_who %% 1000003) / 1000003, -2)))) AS rank,
                toInt64(1 + (rank * 7) %% 24) AS team_id,
                toInt64(h_when %% toUInt64(%(days)s)) AS day,
                -- most visits in the afternoon; the evening's run on past midnight
                intDiv(h_when, 1000) %% 43200000 + intDiv(h_when, 100000000000) %% 43200000 + 21600000 AS ms_of_day,
                end_ms - 86400000 * (toInt64(%(days)s) - day) + toInt64(ms_of_day) AS start_ms,
                h_kind %% 10000 AS kind,
                kind < 8 AS is_long,
                kind >= 8 AND kind < 20 AS is_skewed,
                kind >= 20 AND kind < 50 AS has_no_id,
                kind >= 50 AND kind < 70 AS has_v4_id,
                intDiv(h_kind, 10000) %% 10 = 0 AS is_app,
                1 + toUInt64(-5.6 * log(1 - (intDiv(h_kind, 100000) %% 10007) / 10007)) AS size,
                if(is_long, greatest(size, 8), least(size, 60)) AS events,
                if(is_long, 108000000 / events, exp(8.5 + (intDiv(h_page, 1000) %% 1009) / 1009 * 5)) AS step_ms,
                -- visitors come back, some of them very often
                toUInt64(pow((intDiv(h_who, 1000003) %% 10007) / 10007, 2) * (1 + %(sessions)s / (rank * 8))) AS person,
                lower(hex(toUInt64(start_ms + if(is_skewed, 5400000, 0)))) AS ms_hex,
                lower(hex(sipHash128(%(seed)s, number, 'id'))) AS id_hex,
                multiIf(
                    has_no_id, '',
                    has_v4_id, concat(substring(id_hex, 1, 8), '-', substring(id_hex, 9, 4), '-4',
                                      substring(id_hex, 14, 3), '-a', substring(id_hex, 18, 3), '-', substring(id_hex, 21, 12)),
                    concat(substring(ms_hex, 1, 8), '-', substring(ms_hex, 9, 4), '-7',
                           substring(id_hex, 14, 3), '-a', substring(id_hex, 18, 3), '-', substring(id_hex, 21, 12))
                ) AS session_id,
                concat(if(is_app, 'app', 'www'), '.team', toString(team_id), '.example') AS host,
                ['Desktop', 'Desktop', 'Desktop', 'Mobile', 'Mobile', 'Tablet'][1 + h_page %% 6] AS device,
                multiIf(device = 'Desktop', ['Chrome', 'Chrome', 'Firefox', 'Safari', 'Microsoft Edge'],
                        ['Mobile Safari', 'Chrome', 'Chrome', 'Samsung Internet', 'Mobile Safari'])[1 + h_who %% 5] AS browser,
                multiIf(device = 'Desktop', ['Windows', 'Mac OS X', 'Linux'],
                        ['iOS', 'Android', 'iOS'])[1 + h_kind %% 3] AS os,
                multiIf(device = 'Desktop', [(1440, 900), (1920, 1080), (1280, 720)],
                        device = 'Mobile', [(390, 844), (412, 915), (360, 780)],
                        [(820, 1180), (768, 1024), (1024, 1366)])[1 + h_when %% 3] AS viewport,
                ['$direct', '$direct', 'www.google.com', 'www.google.com', 'duckduckgo.com', 'news.ycombinator.com',
                 'www.linkedin.com'][1 + intDiv(h_who, 64) %% 7] AS referring_domain,
                intDiv(h_page, 64) %% 20 AS campaign,
                [('US', 'San Francisco', 'CA', 'California'), ('US', 'New York', 'NY', 'New York'),
                 ('DE', 'Berlin', 'BE', 'Land Berlin'), ('GB', 'London', 'ENG', 'England'),
                 ('BR', 'São Paulo', 'SP', 'São Paulo'), ('IN', 'Bengaluru', 'KA', 'Karnataka'),
                 ('JP', '', '', '')][1 + intDiv(h_page, 2048) %% 7] AS place,
                -- what does not change during a session; null and absent both occur, as in PostHog
                concat(
                    '"$host":"', host, '","$device_type":"', device, '","$browser":"', browser, '","$os":"', os, '"',
                    if(is_app, '', concat(',"$viewport_width":', toString(viewport.1),
                                          ',"$viewport_height":', toString(viewport.2))),
                    ',"$referring_domain":"', referring_domain, '"',
                    multiIf(
                        campaign < 3, concat(',"utm_source":"google","utm_medium":"cpc","utm_campaign":"brand-',
                                             toString(campaign), '","utm_term":"web \\"analytics\\"","utm_content":"ad ',
                                             toString(h_kind %% 4), '","gclid":"', substring(id_hex, 1, 20),
                                             '","gad_source":"1"'),
                        campaign = 3, concat(',"utm_source":"facebook","utm_medium":"social","fbclid":"',
                                             substring(id_hex, 1, 16), '","gclid":null'),
                        campaign < 6, ',"utm_source":"newsletter","utm_medium":"email","utm_campaign":"autumn 50%% off"',
                        campaign < 12, ',"utm_source":null,"utm_medium":null,"utm_campaign":null,"gclid":null,"fbclid":null',
                        ''),
                    ',"$geoip_country_code":"', place.1, '"',
                    if(place.2 = '', '', concat(',"$geoip_city_name":"', place.2, '","$geoip_subdivision_1_code":"', place.3,
                                                '","$geoip_subdivision_1_name":"', place.4, '"'))
                ) AS session_properties
            FROM numbers(toUInt64(%(sessions)s))
            -- small teams have idle days; the smaller half rests every sixth day or so
            WHERE NOT (rank > 12 AND sipHash64(%(seed)s, team_id, day) %% 6 = 0)
        )
    SELECT
        reinterpretAsUUID(sipHash128(%(seed)s, s, i)) AS uuid,
        multiIf(
            i = 0 AND h_event %% 100 < 92, if(is_app, '$screen', '$pageview'),
            i = 0, '$identify',
            h_event %% 100 < 32, if(is_app, '$screen', '$pageview'),
            h_event %% 100 < 70, '$autocapture',
            h_event %% 100 < 85, '$pageleave',
            ['signed_up', 'search', 'purchase', 'video_played'][1 + intDiv(h_event, 100) %% 4]
        ) AS event,
        ['/', '/', '/', '/pricing', '/pricing', '/about', '/login', '/docs', '/docs/install', '/blog/', '/product/',
         '/search', '/caf%%C3%%A9/men%%C3%%BC'][1 + intDiv(h_path, 1009) %% 13] AS page,
        if(endsWith(page, '/') AND page != '/', concat(page, toString(toUInt64(pow(h_path %% 1009 / 1009, 3) * 400))), page)
            AS pathname,
        concat(
            '{"$lib":"', if(is_app, 'posthog-ios', 'web'), '","$session_id":"', session_id, '",', session_properties,
            ',"$pathname":"', pathname, '","$current_url":"https://', host, pathname,
            multiIf(page = '/search', concat('?q=', toString(h_path %% 97)), i = 0 AND campaign < 3, '?utm_source=google', ''),
            '"}'
        ) AS properties,
        fromUnixTimestamp64Micro(event_ms * 1000, 'UTC') AS timestamp,
        team_id,
        concat(if(person %% 5 = 0 AND h_when %% 3 = 0, 'device-', 'user-'), toString(person), '@', toString(team_id))
            AS distinct_id,
        reinterpretAsUUID(sipHash128(%(seed)s, team_id, distinct_id)) AS person_id,
        session_id,
        -- one event in a hundred arrives one to four days late; nothing arrives after the end of the last day
        least(event_ms + 1000 + intDiv(h_event, 10000) %% 9000
              + if(h_path %% 100 = 0, 86400000 * (1 + intDiv(h_path, 100) %% 4), 0), end_ms - 1) AS arrival_ms,
        fromUnixTimestamp64Micro(arrival_ms * 1000, 'UTC') AS arrived,
        h_event
    FROM
    (
        SELECT
            *,
            arrayJoin(range(events)) AS i,
            sipHash64(%(seed)s, s, i, 'event') AS h_event,
            sipHash64(%(seed)s, s, intDiv(i, 2), 'path') AS h_path,
            start_ms + toInt64(i * step_ms + if(i = 0, 0, (h_event %% 1000) / 1000 * step_ms)) AS event_ms
        FROM sessions
        WHERE event_ms < end_ms
    )
)
SETTINGS max_insert_threads = 2, min_insert_block_size_rows = 200000, min_insert_block_size_bytes = 0
