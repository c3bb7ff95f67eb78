-- Reads the lines as combined log format, optionally with the virtual host in front or more fields at the end.
-- A line that is not of this form, or whose instant does not exist, is malformed. A page request is taken: a GET
-- answered 200 or 304 whose path ends in no file extension or in .html, .htm or .php. All others are ignored.
-- Instants are converted to UTC. Bytes that are not UTF-8 are replaced. Percent-encoded paths stay as they are,
-- as browsers report them.
INSERT INTO access_log_requests
    (line_number, state, virtual_host, client, received_at, target, path, referrer, user_agent)
WITH
    extractGroups(
        toValidUTF8(line),
        concat(
            '^(?:([\\w.-]+)(?::\\d+)? )?([0-9A-Za-z:][\\w.:%%-]*) \\S+ [^\\[]+? \\[([^\\]]+)\\] ',
            '"((?:[^"\\\\]|\\\\.)*)" (\\d{3}) (?:\\d+|-) "((?:[^"\\\\]|\\\\.)*)" "((?:[^"\\\\]|\\\\.)*)"(?:\\s.*)?$'
        )
    ) AS fields,
    parseDateTimeOrNull(fields[3], '%%d/%%b/%%Y:%%H:%%i:%%s %%z', 'UTC') AS instant,
    isNotNull(instant) AS is_well_formed,
    extractGroups(fields[4], '^(\\S+) (.*?)(?: HTTP/[0-9.]+)?$') AS request,
    -- a request to a proxy names the host in its target
    extractGroups(request[2], '^(?i)https?://([^/?#]*)(.*)$') AS absolute,
    if(empty(absolute), request[2], if(startsWith(absolute[2], '/'), absolute[2], concat('/', absolute[2]))) AS request_target,
    cutQueryStringAndFragment(request_target) AS request_path,
    lower(extract(request_path, '\\.([^./]+)$')) AS file_extension,
    request[1] = 'GET' AND fields[5] IN ('200', '304') AND startsWith(request_path, '/')
        AND file_extension IN ('', 'html', 'htm', 'php') AS is_page
SELECT
    line_number,
    multiIf(NOT is_well_formed, 'malformed', is_page, 'taken', 'ignored'),
    if(fields[1] = '', lower(replaceRegexpOne(absolute[1], ':\\d+$', '')), lower(fields[1])),
    fields[2],
    ifNull(instant, toDateTime(0, 'UTC')),
    request_target,
    request_path,
    replaceAll(fields[6], '\\"', '"'),
    replaceAll(fields[7], '\\"', '"')
FROM access_log_lines
