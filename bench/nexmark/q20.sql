SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.`dateTime` AS bid_time, b.extra AS bid_extra,
  a.itemName, a.description, a.initialBid, a.reserve, CAST(a.`dateTime` AS TIMESTAMP(3)) AS auction_time, a.expires, a.seller,
  a.category, a.extra AS auction_extra
FROM bid AS b JOIN auction AS a ON b.auction = a.id
WHERE a.category = 10
