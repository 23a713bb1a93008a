'use strict';
// Starts a service, with its database.
const bus = require('../bus.js');
const database = require('./database.js');

const nobodyArms = () => { throw new Error('it arms no timers'); };

module.exports = function service({ listeners, routes = {}, onTimer = nobodyArms, started = () => {} }) {
  let client;
  const connected = {
    routes: Object.fromEntries(Object.entries(routes).map(([name, route]) => [name, (body) => route(body, client)])),
    onTimer: (record) => onTimer(record, client),
    listen(its) {
      client = its;
      listeners.map((Listener) => new Listener(client)).forEach((listener) => listener.listen());
    },
    started() {
      started();
      return database.relay(client);
    },
    records: database.records,
    reset: database.open,
  };
  database.open();
  bus.start(connected);
};
