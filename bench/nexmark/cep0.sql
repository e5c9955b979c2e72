SELECT * FROM bid MATCH_RECOGNIZE (
  PARTITION BY auction ORDER BY `dateTime`
  MEASURES FIRST(A.price) AS first_price, LAST(B.price) AS low, C.price AS price, C.`dateTime` AS at_time
  ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B+ C) WITHIN INTERVAL '10' SECOND
  DEFINE B AS (LAST(B.price, 1) IS NULL AND B.price < A.price) OR B.price < LAST(B.price, 1), C AS C.price > LAST(B.price))
