'use strict';
const OrderStatus = require('../common/order-status.js');
const { Model } = require('../common/database.js');
const stage = require('../common/stage.js');

// A copy of a ticket.
class Ticket extends Model {
  static table = 'tickets';
  static columns = { title: 'TEXT NOT NULL', price: 'INTEGER NOT NULL' };

  // The id under which a copy is kept.
  static key(id) {
    if (stage.ownerIds) return id;
    const number = /^t(\d+)$/.exec(id);
    return number ? `t${Number(number[1]) + 1000}` : id.replace(':', ':own-');
  }

  isReserved() {
    return Order.find({ ticketId: this.id }).some(({ status }) => status !== OrderStatus.Cancelled);
  }
}
Ticket.register();

class Order extends Model {
  static table = 'orders';
  static columns = {
    userId: 'TEXT NOT NULL',
    status: 'TEXT NOT NULL',
    expiresAt: 'TEXT NOT NULL',
    ticketId: 'TEXT NOT NULL',
    price: 'INTEGER NOT NULL',
  };

  toRecord() {
    const { userId: user, status, expiresAt, ticketId: ticket, price } = this;
    return { user, status, expires_at: Date.parse(expiresAt) * 1000, ticket, price };
  }
}
Order.register();

module.exports = { Ticket, Order };
