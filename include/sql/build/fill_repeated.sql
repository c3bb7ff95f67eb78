-- Lists the events of a day that have several rows: sent or ingested more than once. An event of which only another
-- team, or another bucket, has a second row does no harm on the list.
-- Parameters: none.
INSERT INTO {{ repeated }} (uuid)
SELECT uuid
FROM {{ events }}
GROUP BY uuid
HAVING count() > 1
