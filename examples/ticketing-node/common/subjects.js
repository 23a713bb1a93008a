'use strict';

module.exports = {
  TicketCreated: 'ticket:created',
  TicketUpdated: 'ticket:updated',
  OrderCreated: 'order:created',
  OrderCancelled: 'order:cancelled',
  OrderReserved: 'order:reserved',
  OrderCompleted: 'order:completed',
  ExpirationComplete: 'expiration:complete',
  PaymentCreated: 'payment:created',
  RefundRequested: 'refund:requested',
};
