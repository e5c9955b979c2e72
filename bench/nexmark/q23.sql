SELECT b.auction, b.bidder, b.price, p.name, p.city, p.state, a.itemName, a.category, a.seller
FROM bid AS b JOIN person AS p ON b.bidder = p.id JOIN auction AS a ON b.auction = a.id
