'use strict';
const stage = require('../common/stage.js');
const { RequestError, requireAuth, inserting } = require('../common/requests.js');
const { saveAndPublish } = require('../common/database.js');
const { Ticket } = require('./models.js');
const { TicketCreatedPublisher, TicketUpdatedPublisher, told } = require('./publishers.js');

const validate = ({ title, price }) => {
  if (title === '') throw new RequestError(400, 'title is empty');
  if (!(price > 0)) throw new RequestError(400, 'price is not above 0');
};

const find = (id) => {
  const ticket = Ticket.findById(id);
  if (!ticket) throw new RequestError(404, 'no such ticket');
  return ticket;
};

// POST /api/tickets
async function create_ticket(body, client) {
  const userId = requireAuth(body);
  validate(body);
  const { id, title, price } = body;
  const ticket = Ticket.build({ id, title, price, userId });
  await saveAndPublish(client, (publish) => {
    inserting(() => ticket.save());
    publish(TicketCreatedPublisher, told(ticket));
  });
  return { status: 201, value: told(ticket) };
}

// PUT /api/tickets/:id
async function edit_ticket(body, client) {
  const userId = requireAuth(body);
  validate(body);
  const ticket = find(body.id);
  if (stage.rejectsReservedEdits && ticket.orderId) throw new RequestError(400, 'ticket is reserved');
  if (ticket.userId !== userId) throw new RequestError(401, "somebody else's");
  await saveAndPublish(client, (publish) => {
    Object.assign(ticket, { title: body.title ?? ticket.title, price: body.price }).save();
    publish(TicketUpdatedPublisher, told(ticket));
  });
  return { value: told(ticket) };
}

// GET /api/tickets/:id
const show_ticket = ({ id }) => ({ value: told(find(id)) });

module.exports = { create_ticket, edit_ticket, show_ticket };
