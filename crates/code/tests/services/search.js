'use strict';
// Keeps a copy of each item. With `careless` as its argument it takes whatever comes last.
const { serve, Nak } = require('../../shims/pellmell.js');
const careless = process.argv.includes('careless');

serve({
  keeps: 'records',
  async delivery({ body }, ctx) {
    const held = await ctx.find(body.id);
    const value = { price: body.price };
    if (careless) return void (await ctx.overwrite(body.id, value, body.version));
    if (held && held.version >= body.version) return;
    if (body.version !== (held ? held.version + 1 : 0)) throw new Error('a version is missing');
    if (held) await ctx.update(body.id, value, held.version, body.version);
    else await ctx.insert(body.id, value, body.version);
  },
});
