SET 'table.exec.source.idle-timeout' = '5 s';
SET 'nextpaint.idle-advance' = '1 s';

CREATE TABLE catalog (
  item_id  STRING,
  title    STRING,
  category STRING,
  cpm      DOUBLE,
  adomain  STRING,
  cat      STRING,
  format   STRING,
  w        INT,
  h        INT,
  adm      STRING,
  active   BOOLEAN,
  ts       TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);

CREATE VIEW clicks AS
SELECT subject, decision_id, JSON_VALUE(properties, '$.product_id') AS item_id, ts
FROM events
WHERE event IN ('Product Viewed', 'Product Clicked', 'Product Added')
  AND JSON_VALUE(properties, '$.product_id') IS NOT NULL;

CREATE TABLE likes (
  subject STRING,
  item_id STRING,
  heat    DOUBLE,
  PRIMARY KEY (subject, item_id) NOT ENFORCED
);
INSERT INTO likes
SELECT subject, item_id, DECAYED_COUNT(INTERVAL '10' MINUTE)
FROM clicks
GROUP BY subject, item_id;

CREATE TABLE trending (
  item_id STRING,
  heat    DOUBLE,
  PRIMARY KEY (item_id) NOT ENFORCED
);
INSERT INTO trending
SELECT item_id, DECAYED_COUNT(INTERVAL '2' HOUR)
FROM clicks
GROUP BY item_id;
