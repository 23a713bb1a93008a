'use strict';
const { Model } = require('../common/database.js');

// A copy of an order.
class Order extends Model {
  static table = 'orders';
  static columns = { userId: 'TEXT NOT NULL', price: 'INTEGER NOT NULL', status: 'TEXT NOT NULL' };

  toRecord() {
    return { user: this.userId, price: this.price, status: this.status };
  }
}
Order.register();

class Payment extends Model {
  static table = 'payments';
  static columns = {
    orderId: 'TEXT NOT NULL',
    stripeId: 'TEXT NOT NULL',
    price: 'INTEGER NOT NULL',
    refunded: 'INTEGER NOT NULL',
  };

  toRecord() {
    return { order: this.orderId, price: this.price, refunded: Boolean(this.refunded) };
  }
}
Payment.register();

module.exports = { Order, Payment };
