'use strict';
const Listener = require('../common/listener.js');
const OrderStatus = require('../common/order-status.js');
const Subjects = require('../common/subjects.js');
const stage = require('../common/stage.js');
const { saveAndPublish } = require('../common/database.js');
const { takeFirst, takeNext } = require('../common/replicas.js');
const { Ticket, Order } = require('./models.js');
const publishers = require('./publishers.js');

const { OrderReservedPublisher, OrderCompletedPublisher, RefundRequestedPublisher, cancel } = publishers;

const queueGroupName = 'orders-service';

const find = (id) => {
  const order = Order.findById(id);
  if (!order) throw new Error('order unknown');
  return order;
};

class TicketCreatedListener extends Listener {
  subject = Subjects.TicketCreated;
  queueGroupName = queueGroupName;

  async onMessage({ id, title, price }, msg) {
    takeFirst(Ticket, { id: Ticket.key(id), title, price });
    msg.ack();
  }
}

class TicketUpdatedListener extends Listener {
  subject = Subjects.TicketUpdated;
  queueGroupName = queueGroupName;

  async onMessage({ id, version, title, price, orderId }, msg) {
    await saveAndPublish(this.client, (publish) => {
      takeNext(Ticket, { id: Ticket.key(id), version }, { title, price });
      if (stage.saga && orderId) reserved(Order.findById(orderId), price, publish);
    });
    msg.ack();
  }
}

// A ticket is locked by an order: it may be paid if the price is still the one it was made for.
function reserved(order, price, publish) {
  if (order?.status !== OrderStatus.Created) return;
  if (order.price !== price) {
    cancel(order, publish);
    return;
  }
  Object.assign(order, { status: OrderStatus.AwaitingPayment }).save();
  publish(OrderReservedPublisher, { id: order.id, version: order.version });
}

class ExpirationCompleteListener extends Listener {
  subject = Subjects.ExpirationComplete;
  queueGroupName = queueGroupName;

  async onMessage({ orderId }, msg) {
    await saveAndPublish(this.client, (publish) => {
      const order = find(orderId);
      if (order.status === OrderStatus.Complete) return;
      if (stage.guarded && order.status === OrderStatus.Cancelled) return;
      cancel(order, publish);
    });
    msg.ack();
  }
}

class PaymentCreatedListener extends Listener {
  subject = Subjects.PaymentCreated;
  queueGroupName = queueGroupName;

  async onMessage({ id, orderId }, msg) {
    await saveAndPublish(this.client, (publish) => {
      const order = find(orderId);
      if (stage.guarded && order.status === OrderStatus.Complete) return;
      if (stage.guarded && order.status === OrderStatus.Cancelled) {
        publish(RefundRequestedPublisher, { id, orderId });
        return;
      }
      Object.assign(order, { status: OrderStatus.Complete }).save();
      if (stage.guarded) publish(OrderCompletedPublisher, { id: order.id, version: order.version });
    });
    msg.ack();
  }
}

module.exports = { TicketCreatedListener, TicketUpdatedListener, ExpirationCompleteListener, PaymentCreatedListener };
