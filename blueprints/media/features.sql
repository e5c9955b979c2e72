-- Features: what the streams mean. Each INSERT runs for ever; a surface (surfaces.py) reads these tables by name, as of the
-- moment of the request.


-- The titles say nothing for days: a play joined with them must not wait for that.
SET 'table.exec.source.idle-timeout' = '5 s';

-- A tablet that was in a tunnel, or in an aeroplane for a short flight, sends what was watched when it is back.
SET 'nextpaint.events.lateness' = '2 h';

-- With no traffic at all, event time follows the clock after a second of silence.
SET 'nextpaint.idle-advance' = '1 s';

-- Every table with a PRIMARY KEY below keeps the newest row of its key, and that is meant.
SET 'table.exec.sink.require-on-conflict' = 'false';
SET 'table.exec.sink.upsert-materialize' = 'NONE';


-- What a viewer is in the mood for, by kind: half of it gone every 2 hours. An evening is one mood; the next evening may be
-- another.
CREATE TABLE kind_interest (
  subject STRING,
  kind    STRING,
  heat    DOUBLE,
  PRIMARY KEY (subject, kind) NOT ENFORCED
);
INSERT INTO kind_interest
SELECT w.subject, t.kind, DECAYED_SUM(w.weight, INTERVAL '2' HOUR)
FROM watching AS w
JOIN titles FOR SYSTEM_TIME AS OF w.ts AS t ON w.item_id = t.item_id
GROUP BY w.subject, t.kind;


-- The last 50 titles that were begun or seen to the end, newest last. Surfaces make a "session vector" of their synopses.
CREATE TABLE recent (
  subject STRING,
  items   ARRAY<ROW<item_id STRING, w DOUBLE, ts TIMESTAMP(3)>>,
  PRIMARY KEY (subject) NOT ENFORCED
);
INSERT INTO recent
SELECT subject, LAST_N(ROW(item_id, weight, ts), 50)
FROM watching
WHERE event IN ('Video Content Started', 'Video Content Completed')
GROUP BY subject;


-- How far a viewer got in a title, from 0 to 1: for the bar under a poster, and for "keep watching".
CREATE TABLE progress (
  subject STRING,
  item_id STRING,
  reached DOUBLE,
  PRIMARY KEY (subject, item_id) NOT ENFORCED
);
INSERT INTO progress
SELECT subject, item_id, CASE WHEN event = 'Video Content Completed' OR reached > 1 THEN CAST(1 AS DOUBLE) ELSE reached END
FROM plays;


-- What everybody watches now, half gone every 6 hours. Leaving early is a private matter and counts against nobody.
CREATE TABLE popular (
  item_id STRING,
  heat    DOUBLE,
  PRIMARY KEY (item_id) NOT ENFORCED
);
INSERT INTO popular
SELECT item_id, DECAYED_SUM(weight, INTERVAL '6' HOUR)
FROM watching
WHERE weight > 0
GROUP BY item_id;


-- How each title holds its audience: begun, and seen to the end. For the console and for whoever buys titles.
CREATE TABLE held (
  item_id   STRING,
  begun     BIGINT,
  completed BIGINT,
  PRIMARY KEY (item_id) NOT ENFORCED
);
INSERT INTO held
SELECT
  item_id,
  COUNT(*) FILTER (WHERE event = 'Video Content Started'),
  COUNT(*) FILTER (WHERE event = 'Video Content Completed')
FROM watching
GROUP BY item_id;
