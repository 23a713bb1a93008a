'use strict';
const OrderStatus = require('../common/order-status.js');
const Publisher = require('../common/publisher.js');
const Subjects = require('../common/subjects.js');

class OrderCreatedPublisher extends Publisher {
  subject = Subjects.OrderCreated;
}

class OrderCancelledPublisher extends Publisher {
  subject = Subjects.OrderCancelled;
}

class OrderReservedPublisher extends Publisher {
  subject = Subjects.OrderReserved;
}

class OrderCompletedPublisher extends Publisher {
  subject = Subjects.OrderCompleted;
}

class RefundRequestedPublisher extends Publisher {
  subject = Subjects.RefundRequested;
}

// Cancels an order, and tells it.
function cancel(order, publish) {
  Object.assign(order, { status: OrderStatus.Cancelled }).save();
  publish(OrderCancelledPublisher, { id: order.id, version: order.version, ticket: { id: order.ticketId } });
}

module.exports = {
  OrderCreatedPublisher,
  OrderCancelledPublisher,
  OrderReservedPublisher,
  OrderCompletedPublisher,
  RefundRequestedPublisher,
  cancel,
};
