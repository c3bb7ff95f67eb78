-- Reads the lines as combined log format, optionally with the virtual host in front or more fields at the end; fields may
-- be several blanks apart. A line that is not of this form, or whose instant does not exist or is not of the years 1970
-- to 2105, is malformed. A page request is taken: a GET answered 200 or 304 whose path ends in no file extension or in
-- .html, .htm or .php. All others are ignored. Instants are converted to UTC. A virtual host of - or _ is none. Of a list
-- of client addresses the first one that is known counts, without its port. Bytes that are not UTF-8 are replaced.
-- Percent-encoded paths stay as they are, as browsers report them.
INSERT INTO access_log_requests
    (line_number, state, virtual_host, client, received_at, target, path, referrer, user_agent)
WITH
    '(?:[0-9A-Za-z:][\\w.:%%-]*|\\[[0-9A-Fa-f:.]+\\](?::\\d+)?)' AS address,
    extractGroups(
        toValidUTF8(line),
        concat(
            '^(?:([\\w.-]+|\\[[0-9A-Fa-f:.]+\\])(?::\\d+)? +)?((?:(?:-|unknown), *)*', address, '(?:, *', address, ')*) +\\S+ +[^\\[]+? +\\[([^\\]]+)\\] +',
            '"((?:[^"\\\\]|\\\\.)*)" +(\\d{3}) +(?:\\d+|-) +"((?:[^"\\\\]|\\\\.)*)" +"((?:[^"\\\\]|\\\\.)*)"(?:\\s.*)?$'
        )
    ) AS fields,
    -- as parseDateTime reads it: days of two digits, a zone in digits
    replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(
        fields[3], '^ ?(\\d)/', '0\\1/'), ' ?Z$', ' +0000'), '([+-]\\d\\d):(\\d\\d)$', '\\1\\2') AS written_instant,
    toUInt16OrZero(extract(written_instant, '^\\d+/\\w+/(\\d{4}):')) AS year,
    -- later ones would come out as instants of the 1970s
    if(year BETWEEN 1970 AND 2105, parseDateTimeOrNull(written_instant, '%%d/%%b/%%Y:%%H:%%i:%%s %%z', 'UTC'), NULL) AS instant,
    isNotNull(instant) AS is_well_formed,
    extractGroups(fields[4], '^(\\S+) +(.*?)(?: +HTTP/[0-9.]+)?$') AS request,
    -- a request to a proxy names the host in its target
    extractGroups(request[2], '^(?i)https?://([^/?#]*)(.*)$') AS absolute,
    if(empty(absolute), request[2], if(startsWith(absolute[2], '/'), absolute[2], concat('/', absolute[2]))) AS request_target,
    cutQueryStringAndFragment(request_target) AS request_path,
    lower(extract(request_path, '\\.([^./]+)$')) AS file_extension,
    request[1] = 'GET' AND fields[5] IN ('200', '304') AND startsWith(request_path, '/')
        AND file_extension IN ('', 'html', 'htm', 'php') AS is_page,
    if(fields[1] IN ('-', '_'), '', fields[1]) AS host,
    replaceRegexpOne(fields[2], '^(?:(?:-|unknown), *)+', '') AS addresses,
    extract(addresses, '^[^,]+') AS first_address
SELECT
    line_number,
    multiIf(NOT is_well_formed, 'malformed', is_page, 'taken', 'ignored'),
    if(host = '', lower(replaceRegexpOne(absolute[1], ':\\d+$', '')), lower(host)),
    replaceRegexpOne(first_address, '^(?:\\[([^\\]]+)\\]|([^:]+))(?::\\d+)?$', '\\1\\2'),
    ifNull(instant, toDateTime(0, 'UTC')),
    request_target,
    request_path,
    replaceAll(fields[6], '\\"', '"'),
    replaceAll(fields[7], '\\"', '"')
FROM access_log_lines
