'use strict';
const bus = require('../bus.js');
const OrderStatus = require('../common/order-status.js');
const stage = require('../common/stage.js');
const { RequestError, requireAuth, inserting } = require('../common/requests.js');
const { saveAndPublish } = require('../common/database.js');
const { Ticket, Order } = require('./models.js');
const { OrderCreatedPublisher, cancel } = require('./publishers.js');

const EXPIRATION_WINDOW_SECONDS = 60;

const findOwn = (id, userId) => {
  const order = Order.findById(id);
  if (!order) throw new RequestError(404, 'no such order');
  if (order.userId !== userId) throw new RequestError(401, "somebody else's");
  return order;
};

// POST /api/orders
async function create_order(body, client) {
  const userId = requireAuth(body);
  const ticket = Ticket.findById(Ticket.key(body.ticketId));
  if (!ticket) throw new RequestError(404, 'no such ticket');
  const order = Order.build({
    id: body.id,
    userId,
    status: OrderStatus.Created,
    expiresAt: new Date(bus.now() + EXPIRATION_WINDOW_SECONDS * 1000).toISOString(),
    ticketId: body.ticketId,
    price: ticket.price,
  });
  if (Ticket.build({ id: body.ticketId }).isReserved()) throw new RequestError(400, 'ticket is already reserved');
  await saveAndPublish(client, (publish) => {
    inserting(() => order.save());
    const { id, version, status, expiresAt, ticketId, price } = order;
    publish(OrderCreatedPublisher, { id, version, status, userId, expiresAt, ticket: { id: ticketId, price } });
  });
  return { status: 201, value: order };
}

// GET /api/orders/:id
const show_order = (body) => ({ value: findOwn(body.id, requireAuth(body)) });

// DELETE /api/orders/:id
async function cancel_order(body, client) {
  const order = findOwn(body.id, requireAuth(body));
  if (stage.guarded && order.status === OrderStatus.Complete) throw new RequestError(400, 'order is complete');
  if (!(stage.guarded && order.status === OrderStatus.Cancelled)) {
    await saveAndPublish(client, (publish) => cancel(order, publish));
  }
  return { status: 204 };
}

module.exports = { create_order, show_order, cancel_order };
