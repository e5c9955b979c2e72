SELECT id, itemName, initialBid, reserve, starts, expires, seller, category, auction, bidder, price, bid_time, bid_extra
FROM (
  SELECT a.id, a.itemName, a.initialBid, a.reserve, a.`dateTime` AS starts, a.expires, a.seller, a.category,
    b.auction, b.bidder, b.price, b.`dateTime` AS bid_time, b.extra AS bid_extra,
    ROW_NUMBER() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.`dateTime` ASC) AS rn
  FROM auction AS a JOIN bid AS b ON a.id = b.auction AND b.`dateTime` BETWEEN a.`dateTime` AND a.expires
)
WHERE rn <= 1
