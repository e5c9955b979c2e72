-- Orders are all that is known: no clicks, no categories.

CREATE TABLE catalog (
  item_id STRING,
  title   STRING,
  ts      TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);

CREATE TABLE orders (
  order_id    STRING,
  subject     STRING,
  item_id     STRING,
  qty         INT,
  price       DOUBLE,
  original_ts TIMESTAMP(3),
  ts          TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
);

CREATE VIEW bought_lines AS
SELECT subject, item_id, ts FROM orders WHERE qty > 0;
