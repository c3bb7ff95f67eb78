-- Which node answers.
-- Parameters: none. Columns: node (host and port).
SELECT concat(hostName(), ':', toString(tcpPort())) AS node
