CREATE TABLE catalog (
  item_id  STRING,
  title    STRING,
  category STRING,
  price    DOUBLE,
  stock    INT,
  ts       TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);

CREATE TABLE orders (
  order_id STRING,
  subject  STRING,
  item_id  STRING,
  qty      INT,
  ts       TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '30' SECOND
);

CREATE VIEW clicks AS
SELECT
  subject,
  decision_id,
  JSON_VALUE(properties, '$.product_id') AS item_id,
  JSON_VALUE(properties, '$.category') AS category,
  ts
FROM events
WHERE event = 'Product Viewed' AND JSON_VALUE(properties, '$.product_id') IS NOT NULL;
