'use strict';
const Listener = require('../common/listener.js');
const Subjects = require('../common/subjects.js');
const stage = require('../common/stage.js');
const { saveAndPublish } = require('../common/database.js');
const { Ticket, SeenOrder } = require('./models.js');
const { TicketUpdatedPublisher, told } = require('./publishers.js');

const queueGroupName = 'tickets-service';

const find = (id) => {
  const ticket = Ticket.findById(id);
  if (!ticket) throw new Error('ticket unknown');
  return ticket;
};

// Saves who has a ticket, and tells it.
const lock = (ticket, orderId, publish) => {
  Object.assign(ticket, { orderId }).save();
  if (stage.publishesLocks) publish(TicketUpdatedPublisher, told(ticket));
};

class OrderCreatedListener extends Listener {
  subject = Subjects.OrderCreated;
  queueGroupName = queueGroupName;

  async onMessage(data, msg) {
    await saveAndPublish(this.client, (publish) => {
      const ticket = find(data.ticket.id);
      if (!stage.ledger) return lock(ticket, data.id, publish);
      if (SeenOrder.findById(data.id)?.seen >= data.version || ticket.orderId === data.id) return undefined;
      // Orders has one live order for a ticket: the cancel of the other one is on its way.
      if (ticket.orderId) throw new Error('another order holds the ticket');
      lock(ticket, data.id, publish);
      return SeenOrder.note(data.id, data.version, false);
    });
    msg.ack();
  }
}

class OrderCancelledListener extends Listener {
  subject = Subjects.OrderCancelled;
  queueGroupName = queueGroupName;

  async onMessage(data, msg) {
    await saveAndPublish(this.client, (publish) => {
      const ticket = find(data.ticket.id);
      if (!stage.ledger) return lock(ticket, null, publish);
      if (SeenOrder.findById(data.id)?.seen >= data.version) return undefined;
      if (ticket.orderId === data.id) lock(ticket, null, publish);
      return SeenOrder.note(data.id, data.version, true);
    });
    msg.ack();
  }
}

module.exports = { OrderCreatedListener, OrderCancelledListener };
