'use strict';
// Takes what it stores from elsewhere than from its messages. Its argument says from where.
const crypto = require('node:crypto');
const { serve } = require('../../shims/pellmell.js');

const takes = {
  uuid: () => Number.parseInt(crypto.randomUUID().slice(0, 8), 16),
  clock: () => Date.now() % 4e9,
  order: () => Number([1, 2, 3, 4, 5, 6, 7, 8].sort(() => Math.random() - 0.5).join('')),
};
serve({
  keeps: 'records',
  async delivery({ body: { id, version, price } }, ctx) {
    const [what] = process.argv.slice(2);
    if (what !== 'unawaited') return ctx.overwrite(id, { price: takes[what]() }, version);
    new Promise((done) => setTimeout(done, 0)).then(() => ctx.overwrite(id, { price }, version)).catch(() => {});
  },
});
