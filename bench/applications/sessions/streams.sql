CREATE TABLE catalog (
  item_id  STRING,
  title    STRING,
  category STRING,
  ts       TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);

-- `subject` is the session: the door puts a token in the place of its id.
CREATE VIEW clicks AS
SELECT
  subject,
  JSON_VALUE(properties, '$.product_id') AS item_id,
  JSON_VALUE(properties, '$.category') AS category,
  ts
FROM events
WHERE event IN ('Product Viewed', 'Product Added', 'Order Completed');
