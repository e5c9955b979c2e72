SELECT * FROM bid MATCH_RECOGNIZE (
  PARTITION BY bidder ORDER BY `dateTime`
  MEASURES C.`dateTime` AS at_time, A.price - C.price AS fall
  ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B* C) WITHIN INTERVAL '5' SECOND
  DEFINE B AS B.price > A.price - 1000, C AS C.price < A.price - 1000)
