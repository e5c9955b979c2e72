-- Features: what the streams mean. Each INSERT runs for ever, and its table is up to date whenever a surface reads it.


-- A source that says nothing for 5 seconds stops holding back the others.
SET 'table.exec.source.idle-timeout' = '5 s';
-- A phone that was offline sends its clicks late; up to 10 minutes late they count. Decisions do not wait for this.
SET 'nextpaint.events.lateness' = '10 min';
-- With no traffic at all, event time follows the clock after a second of silence.
SET 'nextpaint.idle-advance' = '1 s';
-- Every table below keeps the newest row of its key. Flink from 2.3 on wants to be told that this is meant.
SET 'table.exec.sink.require-on-conflict' = 'false';
SET 'table.exec.sink.upsert-materialize' = 'NONE';


-- Every click with the category its item had at that moment.
CREATE VIEW enriched AS
SELECT c.subject, COALESCE(k.category, 'Other') AS category, c.weight, c.ts
FROM clicks AS c
LEFT JOIN catalog FOR SYSTEM_TIME AS OF c.ts AS k ON c.item_id = k.item_id;


-- What a person is interested in: a sum of click weights, half of it gone every 10 minutes. A shop whose visitors think
-- for days wants hours or days here.
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


-- The last 50 items of a person, with weight and time.
CREATE TABLE recent (
  subject STRING,
  items   ARRAY<ROW<item_id STRING, w DOUBLE, ts TIMESTAMP(3)>>,
  PRIMARY KEY (subject) NOT ENFORCED
);
INSERT INTO recent
SELECT subject, LAST_N(ROW(item_id, weight, ts), 50)
FROM clicks
GROUP BY subject;


-- What the whole shop looks at and buys now, half gone every 2 hours. An order line weighs as much as eight views.
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
