SET 'table.exec.sink.require-on-conflict' = 'false';
SET 'table.exec.sink.upsert-materialize' = 'NONE';

-- How much a customer buys an item, under several half-lives: a surface picks one.
CREATE TABLE bought (
  subject STRING,
  item_id STRING,
  d60  DOUBLE,
  d90  DOUBLE,
  d180 DOUBLE,
  d360 DOUBLE,
  PRIMARY KEY (subject, item_id) NOT ENFORCED
);
INSERT INTO bought
SELECT
  subject,
  item_id,
  DECAYED_COUNT(INTERVAL '60' DAY),
  DECAYED_COUNT(INTERVAL '90' DAY),
  DECAYED_COUNT(INTERVAL '180' DAY(3)),
  DECAYED_COUNT(INTERVAL '360' DAY(3))
FROM bought_lines
WHERE subject IS NOT NULL
GROUP BY subject, item_id;

-- How much the shop buys an item.
CREATE TABLE trending (
  item_id STRING,
  d3  DOUBLE,
  d7  DOUBLE,
  d14 DOUBLE,
  PRIMARY KEY (item_id) NOT ENFORCED
);
INSERT INTO trending
SELECT
  item_id,
  DECAYED_COUNT(INTERVAL '3' DAY),
  DECAYED_COUNT(INTERVAL '7' DAY),
  DECAYED_COUNT(INTERVAL '14' DAY)
FROM bought_lines
GROUP BY item_id;

-- The last 50 lines of a customer: what "bought together" and "similar" start from.
CREATE TABLE recent (
  subject STRING,
  items   ARRAY<ROW<item_id STRING, w DOUBLE, ts TIMESTAMP(3)>>,
  PRIMARY KEY (subject) NOT ENFORCED
);
INSERT INTO recent
SELECT subject, LAST_N(ROW(item_id, CAST(1 AS DOUBLE), ts), 50)
FROM bought_lines
WHERE subject IS NOT NULL
GROUP BY subject;
