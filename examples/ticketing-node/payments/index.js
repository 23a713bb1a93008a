'use strict';
const OrderStatus = require('../common/order-status.js');
const Publisher = require('../common/publisher.js');
const Subjects = require('../common/subjects.js');
const service = require('../common/service.js');
const stage = require('../common/stage.js');
const { RequestError, requireAuth, inserting } = require('../common/requests.js');
const { saveAndPublish } = require('../common/database.js');
const { Order, Payment } = require('./models.js');
const listeners = require('./listeners.js');

class PaymentCreatedPublisher extends Publisher {
  subject = Subjects.PaymentCreated;
}

// POST /api/payments
async function pay(body, client) {
  const userId = requireAuth(body);
  const { id, orderId, token } = body;
  if (!token) throw new RequestError(400, 'token is missing');
  const order = Order.findById(orderId);
  if (!order) throw new RequestError(404, 'no such order');
  if (order.userId !== userId) throw new RequestError(401, "somebody else's");
  if (order.status === OrderStatus.Cancelled) throw new RequestError(400, 'order is cancelled');
  if (stage.saga && order.status === OrderStatus.Created) throw new RequestError(400, 'ticket is not reserved yet');
  if (stage.guarded && Payment.findOne({ orderId })) throw new RequestError(400, 'order is paid');
  // What a card company would call the charge.
  const payment = Payment.build({ id, orderId, stripeId: `charge-${id}`, price: order.price, refunded: 0 });
  await saveAndPublish(client, (publish) => {
    inserting(() => payment.save());
    publish(PaymentCreatedPublisher, { id, orderId, stripeId: payment.stripeId });
  });
  return { status: 201, value: { id } };
}

service({ listeners, routes: { pay } });
