SET 'table.exec.source.idle-timeout' = '5 s';
SET 'nextpaint.idle-advance' = '1 s';
SET 'table.exec.sink.require-on-conflict' = 'false';
SET 'table.exec.sink.upsert-materialize' = 'NONE';

CREATE TABLE category_interest (
  subject  STRING,
  category STRING,
  heat     DOUBLE,
  PRIMARY KEY (subject, category) NOT ENFORCED
);
INSERT INTO category_interest
SELECT subject, category, DECAYED_COUNT(INTERVAL '10' MINUTE)
FROM clicks
GROUP BY subject, category;

CREATE TABLE recent (
  subject STRING,
  items   ARRAY<ROW<item_id STRING, w DOUBLE, ts TIMESTAMP(3)>>,
  PRIMARY KEY (subject) NOT ENFORCED
);
INSERT INTO recent
SELECT subject, LAST_N(ROW(item_id, CAST(1 AS DOUBLE), ts), 50)
FROM clicks
GROUP BY subject;

CREATE TABLE trending (
  item_id STRING,
  heat    DOUBLE,
  PRIMARY KEY (item_id) NOT ENFORCED
);
INSERT INTO trending
SELECT item_id, DECAYED_COUNT(INTERVAL '2' HOUR)
FROM clicks
GROUP BY item_id;
