SELECT q.category, AVG(q.final_price)
FROM (
  SELECT MAX(b.price) AS final_price, a.category
  FROM auction AS a JOIN bid AS b ON a.id = b.auction AND b.`dateTime` BETWEEN a.`dateTime` AND a.expires
  GROUP BY a.id, a.category
) AS q
GROUP BY q.category
