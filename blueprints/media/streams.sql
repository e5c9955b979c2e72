-- Streams: what comes in.
--
-- Behaviour lands in the built-in stream `events`: every call that a player sends to /v1/track, in the words of Segment's
-- video specification. Facts are the two tables below: the titles, and whether they may be shown.


-- What the player says. `position` is the playhead and `total_length` the length, both in seconds, as Segment has them;
-- a row without a length says nothing about how much was watched and is left out.
--
--   Video Content Started     the picture begins
--   Video Content Playing     every quarter of the story
--   Video Content Completed   THE STORY IS OVER AND THE CREDITS BEGIN: nobody reads the names to the end, and the next page
--                             has to be there before they are through
--   Video Playback Exited     somebody left
CREATE VIEW plays AS
SELECT
  subject,
  decision_id,
  item_id,
  event,
  JSON_VALUE(properties, '$.position' RETURNING DOUBLE) / JSON_VALUE(properties, '$.total_length' RETURNING DOUBLE) AS reached,
  ts
FROM events
WHERE event IN ('Video Content Started', 'Video Content Playing', 'Video Content Completed', 'Video Playback Exited')
  AND item_id IS NOT NULL
  AND JSON_VALUE(properties, '$.position' RETURNING DOUBLE) >= 0
  AND JSON_VALUE(properties, '$.total_length' RETURNING DOUBLE) > 0;


-- What each of them says about a taste. To have seen a story to its end says most. Who left in the first quarter did not
-- like it; who left later may have had to catch a train.
CREATE VIEW watching AS
SELECT
  subject,
  item_id,
  event,
  CASE
    WHEN event = 'Video Content Completed' THEN CAST(4 AS DOUBLE)
    WHEN event = 'Video Content Playing' THEN CAST(0.5 AS DOUBLE)
    WHEN event = 'Video Content Started' THEN CAST(0.5 AS DOUBLE)
    WHEN reached < 0.25 THEN CAST(-1 AS DOUBLE)
    ELSE CAST(0 AS DOUBLE)
  END AS weight,
  ts
FROM plays;


-- Stories seen to their end.
CREATE VIEW completions AS
SELECT subject, item_id, ts FROM plays WHERE event = 'Video Content Completed';


-- The titles: all of them invented, see data/ABOUT.md. `age` is from which age on it may be seen.
CREATE TABLE titles (
  item_id     STRING,
  title       STRING,
  kind        STRING,
  maker       STRING,
  starring    STRING,
  released    INT,
  runtime_min INT,
  age         INT,
  synopsis    STRING,
  ts          TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);


-- Rights end at midnight, or at once when a lawyer calls. They change apart from the titles, so they have a table of their
-- own, and every surface requires them on every path.
CREATE TABLE rights (
  item_id   STRING,
  available BOOLEAN,
  ts        TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND,
  PRIMARY KEY (item_id) NOT ENFORCED
);
