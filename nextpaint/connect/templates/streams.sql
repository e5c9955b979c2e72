-- Streams: what comes in. Written by `nextpaint init` from your files; it is yours now, change what you like.
--
-- The SQL is that of Apache Flink. Every call your pages and apps send to /v1/track lands in the built-in stream `events`,
-- which you do not declare: message_id, type, event, subject, anonymous, properties (JSON text), context, surface,
-- decision_id, item_id, position, purposes, ts, received_at. `subject` is a random token that stands in the place of the
-- user id or e-mail.


-- Who looked at what, and who put what into the cart. {{clicks_note}}
CREATE VIEW clicks AS
SELECT
  subject,
  decision_id,
  {{item}} AS item_id,
  {{kind}} AS kind,
  {{weight}} AS weight,
  ts
FROM events
WHERE event IN ({{click_events}})
  AND {{item}} IS NOT NULL;


-- Your catalogue, from {{catalog_file}}. The newest row of each key is served from memory.
-- The WATERMARK says how far rows may come out of order.
CREATE TABLE catalog (
  item_id  STRING,
  title    STRING,
  category STRING,
  ts       TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);


-- Stock and price change more often than titles. Send them with PUT /v1/items.
CREATE TABLE inventory (
  item_id STRING,
  stock   INT,
  price   DOUBLE,
  ts      TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);


-- Order lines, one row per item of an order. No PRIMARY KEY: this is a stream of things that happened.
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


-- Popularity as a nightly job would have had it, frozen at the start: the shop page shows it beside the live one.
CREATE TABLE yesterday (
  item_id STRING,
  score   DOUBLE,
  ts      TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);
