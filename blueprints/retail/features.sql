-- Features: what the streams mean. Each INSERT runs for ever: it starts with the node, and its table is up to date
-- whenever somebody reads it. A surface (surfaces.py) reads these tables by name, as of the moment of the request.


-- A source that says nothing for 5 seconds stops holding back the others: the catalogue is quiet for hours, and a click
-- joined with it must not wait that long.
SET 'table.exec.source.idle-timeout' = '5 s';

-- A phone that was offline sends its clicks late. Up to 10 minutes late they count as if they had come in time.
-- Decisions do not wait for this: they read live tables.
SET 'nextpaint.events.lateness' = '10 min';

-- With no traffic at all, event time follows the clock after a second of silence, so that sessions end on an idle
-- night.
SET 'nextpaint.idle-advance' = '1 s';

-- Every table below with a PRIMARY KEY keeps the newest row of its key. Flink from 2.3 on wants to be told that this is
-- meant, where it cannot see for itself that a query has one row per key.
SET 'table.exec.sink.require-on-conflict' = 'false';
SET 'table.exec.sink.upsert-materialize' = 'NONE';


-- Every click with the category its item had at that moment. LEFT: a click on an item the catalogue does not know is
-- kept, in the family "Other".
CREATE VIEW enriched AS
SELECT
  c.subject,
  c.item_id,
  COALESCE(k.category, 'Other') AS category,
  c.weight,
  c.ts
FROM clicks AS c
LEFT JOIN catalog FOR SYSTEM_TIME AS OF c.ts AS k ON c.item_id = k.item_id;


-- What a person is interested in, by family: a sum of click weights that fades, half of it gone every 10 minutes. It
-- fades while it is not looked at: nothing has to happen for the bars on the shop page to shrink.
CREATE TABLE category_interest (
  subject  STRING,
  category STRING,
  heat     DOUBLE,
  PRIMARY KEY (subject, category) NOT ENFORCED
);
INSERT INTO category_interest
SELECT subject, category, DECAYED_SUM(weight, INTERVAL '10' MINUTE)
FROM enriched
GROUP BY subject, category;


-- The last 50 items of a person, newest last, with weight and time. Surfaces make a "session vector" of them.
CREATE TABLE recent (
  subject STRING,
  items   ARRAY<ROW<item_id STRING, w DOUBLE, ts TIMESTAMP(3)>>,
  PRIMARY KEY (subject) NOT ENFORCED
);
INSERT INTO recent
SELECT subject, LAST_N(ROW(item_id, weight, ts), 50)
FROM clicks
GROUP BY subject;


-- What the whole shop looks at and buys now, half gone every 2 hours. An order line weighs as much as eight views,
-- however many pieces it is for: this is a wholesaler's data, and one order of 3,000 pieces is still one customer.
-- Cancelled lines are left out. No join here, on purpose: a surface reads this table whole, and that stays live only
-- without a buffer in between.
CREATE VIEW attention AS
SELECT item_id, weight, ts FROM clicks
UNION ALL
SELECT item_id, CAST(8 AS DOUBLE) AS weight, ts FROM orders WHERE qty > 0;

CREATE TABLE trending (
  item_id STRING,
  heat    DOUBLE,
  PRIMARY KEY (item_id) NOT ENFORCED
);
INSERT INTO trending
SELECT item_id, DECAYED_SUM(weight, INTERVAL '2' HOUR)
FROM attention
GROUP BY item_id;


-- How busy a person is: clicks in the 5 minutes up to each click. Read as of a request, it is the count of the 5
-- minutes before that request: 0 after five quiet minutes.
CREATE TABLE pace (
  subject  STRING,
  clicks_5m BIGINT,
  PRIMARY KEY (subject) NOT ENFORCED
);
INSERT INTO pace
SELECT
  subject,
  COUNT(*) OVER (PARTITION BY subject ORDER BY ts RANGE BETWEEN INTERVAL '5' MINUTE PRECEDING AND CURRENT ROW)
FROM clicks;


-- Visits: the clicks of a person with no gap of more than 15 minutes. A row appears when a visit is over; `ended` is
-- the end of the gap. No PRIMARY KEY: this is a stream that goes out, for a warehouse or a journey.
CREATE TABLE visits (
  subject STRING,
  started TIMESTAMP(3),
  ended   TIMESTAMP(3),
  clicks  BIGINT
);
INSERT INTO visits
SELECT subject, window_start, window_end, COUNT(*)
FROM TABLE(SESSION(TABLE clicks PARTITION BY subject, DESCRIPTOR(ts), INTERVAL '15' MINUTE))
GROUP BY subject, window_start, window_end;


-- What each family sold in the last 10 minutes, moving on minute by minute. Cancelled lines count against it.
CREATE VIEW sold AS
SELECT COALESCE(k.category, 'Other') AS category, o.qty, o.qty * o.price AS revenue, o.ts
FROM orders AS o
LEFT JOIN catalog FOR SYSTEM_TIME AS OF o.ts AS k ON o.item_id = k.item_id;

CREATE TABLE category_sales (
  category   STRING,
  window_end TIMESTAMP(3),
  order_lines BIGINT,
  pieces     BIGINT,
  revenue    DOUBLE,
  PRIMARY KEY (category) NOT ENFORCED
);
INSERT INTO category_sales
SELECT category, window_end, COUNT(*), SUM(CAST(qty AS BIGINT)), SUM(revenue)
FROM TABLE(HOP(TABLE sold, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '10' MINUTE))
GROUP BY category, window_start, window_end;


-- How often a customer bought an item, half of it gone after 4 hours of the replay: 100 days of the shop's own time.
CREATE TABLE bought (
  subject STRING,
  item_id STRING,
  times   DOUBLE,
  PRIMARY KEY (subject, item_id) NOT ENFORCED
);
INSERT INTO bought
SELECT subject, item_id, DECAYED_SUM(CAST(1 AS DOUBLE), INTERVAL '4' HOUR)
FROM orders
WHERE qty > 0 AND subject IS NOT NULL
GROUP BY subject, item_id;


-- How much the shop buys an item these days, half of it gone after half an hour: 12 days of the shop's own time.
CREATE TABLE demand (
  item_id STRING,
  times   DOUBLE,
  PRIMARY KEY (item_id) NOT ENFORCED
);
INSERT INTO demand
SELECT item_id, DECAYED_SUM(CAST(1 AS DOUBLE), INTERVAL '30' MINUTE)
FROM orders
WHERE qty > 0
GROUP BY item_id;
