'use strict';
const { Model } = require('../common/database.js');

class Ticket extends Model {
  static table = 'tickets';
  static columns = { title: 'TEXT NOT NULL', price: 'INTEGER NOT NULL', userId: 'TEXT NOT NULL', orderId: 'TEXT' };

  toRecord() {
    const { title, price, userId: user, orderId } = this;
    return { title, price, user, lock: orderId ? { by: orderId } : 'free' };
  }
}
Ticket.register();

// The last version that was seen of an order, and whether that was its cancel.
class SeenOrder extends Model {
  static table = 'ledger';
  static columns = { seen: 'INTEGER NOT NULL', cancelled: 'INTEGER NOT NULL' };

  toRecord() {
    return { seen: this.seen, cancelled: Boolean(this.cancelled) };
  }

  static note(id, seen, cancelled) {
    const note = SeenOrder.findById(id) ?? SeenOrder.build({ id });
    Object.assign(note, { seen, cancelled: Number(cancelled) }).save();
  }
}
SeenOrder.register();

module.exports = { Ticket, SeenOrder };
