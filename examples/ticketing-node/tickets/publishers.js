'use strict';
const Publisher = require('../common/publisher.js');
const Subjects = require('../common/subjects.js');

class TicketCreatedPublisher extends Publisher {
  subject = Subjects.TicketCreated;
}

class TicketUpdatedPublisher extends Publisher {
  subject = Subjects.TicketUpdated;
}

// What both say of a ticket.
const told = ({ id, version, title, price, userId, orderId }) =>
  ({ id, version, title, price, userId, orderId: orderId ?? undefined });

module.exports = { TicketCreatedPublisher, TicketUpdatedPublisher, told };
