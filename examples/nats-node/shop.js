'use strict';
// A shop: it changes the price of its one item when it is asked to, and says so.
const fs = require('node:fs');
const { connect } = require('@nats-io/transport-node');
const { jetstream, jetstreamManager } = require('@nats-io/jetstream');

const file = `${process.env.PELLMELL_FOLDER || '.'}/shop.json`;

async function main() {
  const connection = await connect({ servers: process.env.NATS_URL });
  await (await jetstreamManager(connection)).streams.add({ name: 'ITEMS', subjects: ['item.>'] });
  let version = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file))[0].version : -1;
  for await (const message of connection.subscribe('set_price')) {
    const { price } = message.json();
    version += 1;
    fs.writeFileSync(file, JSON.stringify([{ record: 'i1', version, value: { price } }]));
    const changed = JSON.stringify({ id: 'i1', price, version });
    await jetstream(connection).publish('item.changed', changed, { msgID: `${version}` });
    message.respond('');
  }
}

main();
