-- Streams: what comes in.
--
-- Nextpaint speaks the SQL of Apache Flink. Two kinds of things come in:
--
-- * behaviour: every call a page, an app or a service sends to /v1/track lands in the built-in stream `events`. It
-- has the columns message_id, type, event, subject, anonymous, properties (JSON text), context (JSON text), surface,
-- decision_id, item_id, position, purposes, ts and received_at. You do not declare it. * facts: what the shop knows
-- about its items and its orders. Those tables are declared here and written by the shop, through PUT /v1/items or
-- any source.  `subject` is who it is about: a random token that stands in the place of the user id or e-mail. The
-- door puts it there before anything is stored, so no table ever holds the identifier itself.


-- The clicks of the shop: one row for each time somebody looked at an item or put it into the cart.
-- A view has no data of its own; it only gives a shape to `events`. Adding to the cart says more than looking, so it
-- weighs more. JSON_VALUE takes one value out of the properties that the page sent; clicks without an item are left
-- out.
CREATE VIEW clicks AS
SELECT
  subject,
  decision_id,
  JSON_VALUE(properties, '$.product_id') AS item_id,
  CASE event WHEN 'Product Added' THEN 'cart' ELSE 'view' END AS kind,
  CAST(CASE event WHEN 'Product Added' THEN 4 ELSE 1 END AS DOUBLE) AS weight,
  ts
FROM events
WHERE event IN ('Product Viewed', 'Product Clicked', 'Product Added')
  AND JSON_VALUE(properties, '$.product_id') IS NOT NULL;


-- The catalogue. A table with a PRIMARY KEY keeps the newest row of each key and is served from memory; its earlier
-- versions are known too, so a click can be joined with the catalogue as it was when the click happened.
-- The WATERMARK says how far rows may come out of order: here not at all, up to the same millisecond.
CREATE TABLE catalog (
  item_id  STRING,
  title    STRING,
  category STRING,
  ts       TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);


-- Stock and price change far more often than titles, so they live in a table of their own.
-- (The start stock of this blueprint is made up: see data/ATTRIBUTION.md.)
CREATE TABLE inventory (
  item_id STRING,
  stock   INT,
  price   DOUBLE,
  ts      TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);


-- Order lines, one row per item of an order. No PRIMARY KEY: this is a stream of things that happened, nothing in it is
-- ever replaced. A cancelled line comes as a second row with a negative quantity and an order_id that starts with C.
-- `ts` is when the line is replayed, `original_ts` when it happened in 2010 or 2011. `subject` is NULL where the shop
-- did not know the customer. Lines may be up to half a minute out of order.
CREATE TABLE orders (
  order_id    STRING,
  subject     STRING,
  item_id     STRING,
  qty         INT,
  price       DOUBLE,
  original_ts TIMESTAMP(3),
  ts          TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '30' SECOND
);


-- What a nightly job would have recommended: popularity over the orders before the start, frozen. The demonstration fills
-- it once when it starts; the surface `last_night` shows it beside the live one.
CREATE TABLE yesterday (
  item_id STRING,
  score   DOUBLE,
  ts      TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);
